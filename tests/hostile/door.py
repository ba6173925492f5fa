"""The emulator of local mode with one switch more: while a file is there, its S3 refuses as the real one does that is
asked too much. `python -m tests.hostile.door` is what a soak's system runs on.
"""

import os
from pathlib import Path

from ministack import app

from local import emulator
from local.front_door import Application, Receive, Scope, Send
from local.settings import LocalSettings

SWITCH = "refuse-s3"
"""In the system's state folder."""
OF_S3 = b"/s3/aws4_request"
"""In the signature of what is asked of S3."""
SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
)
"""https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


class RefusingS3:
    """An ASGI application that lets requests in to `inner`, those of S3 only while there is no `switch`."""

    def __init__(self, inner: Application, switch: Path) -> None:
        self._inner, self._switch = inner, switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if OF_S3 not in headers.get(b"authorization", b"") or not self._switch.exists():
            return await self._inner(scope, receive, send)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"application/xml")]})
        await send({"type": "http.response.body", "body": SLOW_DOWN})


def main() -> None:
    app.app = RefusingS3(app.app, LocalSettings.from_env(os.environ).directory / SWITCH)
    emulator.main()


if __name__ == "__main__":
    main()
