"""API Gateway in front of the handler: HTTP requests become proxy events, proxy answers become HTTP responses."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from contract.forms import FORM, IMAGE_MEDIA_TYPES
from contract.routes import STAGE_NAME
from lambdas.authorize.main import handler as authorize

EVENTS = Path(__file__).with_name("events")
BINARY_MEDIA_TYPES = ("image/", FORM, *IMAGE_MEDIA_TYPES)

Event = dict[str, Any]
Resolve = Callable[[Event], dict[str, Any]]


def event(name: str) -> Event:
    """A proxy event as API Gateway sends it, from events/<name>.json."""
    loaded: Event = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


def proxy_event(
    method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None, query: str = ""
) -> Event:
    """The event of any other request, in the form of the recorded ones."""
    headers = headers or {}
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    binary = bool(body) and content_type.startswith(BINARY_MEDIA_TYPES)
    parameters = parse_qs(query, keep_blank_values=True)
    made = event("health")
    made.update(
        resource=path,
        path=path,
        httpMethod=method,
        headers=headers,
        multiValueHeaders={name: [value] for name, value in headers.items()},
        queryStringParameters={name: values[-1] for name, values in parameters.items()} or None,
        multiValueQueryStringParameters=parameters or None,
        body=base64.b64encode(body).decode() if binary else body.decode("utf-8", "replace") or None,
        isBase64Encoded=binary,
    )
    made["requestContext"].update(path=f"/{STAGE_NAME}{path}", resourcePath=path, httpMethod=method)
    return made


class Answer:
    """A proxy answer, read as its caller would."""

    def __init__(self, proxy: dict[str, Any]) -> None:
        self.status: int = proxy["statusCode"]
        self.text: str = proxy["body"]
        self.headers = {name.lower(): ",".join(values) for name, values in proxy["multiValueHeaders"].items()}

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def detail(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == self.status and problem["error"] == problem["detail"]
        assert problem["instance"] == self.headers["x-request-id"]
        sentence: str = problem["detail"]
        return sentence


@contextmanager
def served(resolve: Resolve, key: str = "") -> Iterator[str]:
    """The URL of a local HTTP server whose requests go through `resolve`, if the authorizer finds `key` in them."""

    class Gateway(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = url.path.removeprefix(f"/{STAGE_NAME}") or "/"
            headers = dict(self.headers.items())
            made = proxy_event(self.command, path, body=body, headers=headers, query=url.query)
            found = authorize({**made, "methodArn": "*"}, None)["usageIdentifierKey"]
            if key and found != key:
                return self.send_error(403)
            answer = Answer(resolve(made))
            content = (answer.text or "").encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _pass_on

        def log_message(self, *_: Any) -> None:
            """Keep the tests' output to the tests."""

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{STAGE_NAME}"
        finally:
            server.shutdown()
            serving.join()
