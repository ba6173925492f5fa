"""The API as the commands see it: JSON goes in, JSON comes out, and a refusal is raised as the API's own sentence.

Which deployment is meant is said by the flags, else by the environment, else it is the one that runs on this machine.
"""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from contract.forms import write_form
from contract.idempotency import IDEMPOTENCY_HEADER
from contract.limits import API_KEY_HEADER, API_TIMEOUT_S
from wordsight.signing import Sign, signed_by_the_shell

URL_VARIABLE = "WORDSIGHT_URL"
KEY_VARIABLE = "WORDSIGHT_API_KEY"
LOCAL = Path(__file__).resolve().parent.parent / ".local"
"""Where `make local` writes down the address and the key."""
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")

MAX_ATTEMPTS = 5
MAX_PAUSE_S = 60.0
"""Of what an answer says is to be waited before the next attempt."""
_PAUSE_S = 2.0
UPLOAD_TIMEOUT_S = 300


class CommandError(Exception):
    """What a person is told before the command ends with 1."""


class RefusedError(CommandError):
    """The API's own refusal, with the status of its answer."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Api:
    """One deployment. `pause` waits, in seconds, before what was too much at once is tried again."""

    url: str
    key: str
    pause: Callable[[float], None] = time.sleep
    sign: Sign | None = None
    """For an API that asks for signatures (`auth=iam`)."""
    attempts: int = MAX_ATTEMPTS
    """What is too much at once is sent so often in all."""

    def get(self, path: str, **query: object) -> Any:
        """What is there. Raises CommandError."""
        return self.ask("GET", path, query={name: str(value) for name, value in query.items() if value is not None})

    def create(self, path: str, body: Any = None) -> Any:
        """POST something that is to be done once, however often it has to be sent. Raises CommandError."""
        return self.ask("POST", path, body, headers={IDEMPOTENCY_HEADER: str(uuid.uuid4())})

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON, None if it has none. Raises CommandError with the API's sentence."""
        return self.exchange(method, path, body, query=query, headers=headers)[0]

    def exchange(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, HTTPMessage]:
        """What `ask` answers, and the answer's headers."""
        content = None if body is None else json.dumps(body).encode()
        media_type = {"content-type": "application/json"} if content else {}
        sent = {**media_type, **(headers or {})}
        for left in reversed(range(self.attempts)):
            try:
                answer = self.deliver(method, path, content, query=query, headers=sent)
            except HTTPError as error:
                said = _said(error)
                if error.code not in (429, 503) or not left or said.get("state"):  # paused, for nobody knows how long
                    raise RefusedError(self._sentence(error, said), error.code) from None
                self.pause(_pause_s(error.headers.get("retry-after")))
            else:
                try:
                    return json.loads(answer.content) if answer.content else None, answer.headers
                except ValueError:
                    raise CommandError("what answers there is not the API: its answer is no JSON") from None
        raise AssertionError  # the last attempt returns or raises

    def deliver(
        self,
        method: str,
        path: str,
        content: bytes | None,
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str],
    ) -> "Answer":
        """One attempt, with the key or the signature. Raises as `send`."""
        # As SigV4 spells it: a signature is made of what is sent, and API Gateway checks it against this spelling.
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        url = f"{self.url.rstrip('/')}{path}{asked}"
        sent = {API_KEY_HEADER: self.key, **headers}
        return send(url, content, self.sign(method, url, content, sent) if self.sign else sent, method)

    def _sentence(self, error: HTTPError, said: Mapping[str, Any]) -> str:
        sentence = str(
            said.get("detail") or f"{error.code} {error.reason}: this does not look like the API's own answer"
        )
        if error.code in (401, 403) and not self.key and self.sign is None:
            sentence += (
                f" (no API key was given: set {KEY_VARIABLE}; where callers sign, with auth=iam, "
                f"AWS credentials and botocore are needed: pip install botocore)"
            )
        return sentence

    def upload(self, image: bytes, form: Mapping[str, Any]) -> None:
        """Send an image where POST /uploads said, by its form. Raises CommandError."""
        media_type, content = write_form(form["fields"], [("file", image)])
        try:
            send(form["url"], content, {"content-type": media_type}, "POST", UPLOAD_TIMEOUT_S)
        except HTTPError as error:
            raise CommandError(f"the data bucket did not take the image: {error.code} {error.reason}") from None


def connect(
    url: str | None, key: str | None, environ: Mapping[str, str], local: Sequence[Path] = (LOCAL, Path(".local"))
) -> Api:
    """The API. Where no key is given requests are signed, if there are AWS credentials and botocore to do it.

    Raises CommandError if nothing says where it is. A folder `.local` of somebody else's can't lead to another machine.
    """
    if found := url or environ.get(URL_VARIABLE):
        key = key or environ.get(KEY_VARIABLE) or ""
        if not key.isascii() or not key.isprintable():
            raise CommandError(f"the API key is {key!r}, allowed are visible ASCII characters: set {KEY_VARIABLE} anew")
        return Api(found, key, sign=None if key else signed_by_the_shell(found, environ))
    folder = next((each for each in local if (each / "url").is_file()), None)
    if folder is None:
        raise CommandError(
            f"no API is known: give --url and --api-key, or set {URL_VARIABLE} and {KEY_VARIABLE}, "
            "or start one on this machine: make local"
        )
    found = (folder / "url").read_text().strip()
    if urlsplit(found).hostname not in _THIS_MACHINE:
        raise CommandError(f"{folder / 'url'} says {found!r}, which is not on this machine: give it by --url")
    return Api(found, key or (folder / "api-key").read_text().strip())


class Answer(NamedTuple):
    """What came back of a request that succeeded."""

    status: int
    headers: HTTPMessage
    content: bytes


def send(
    url: str,
    content: bytes | Iterable[bytes] | None,
    headers: Mapping[str, str],
    method: str,
    timeout_s: float = API_TIMEOUT_S + 1,
) -> Answer:
    """The answer. Raises HTTPError if it is no success, CommandError if there is none."""
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"the address is {url!r}, allowed is one that begins with https:// or http://")
    request = Request(url, content, dict(headers), method=method)  # noqa: S310, checked above
    try:
        with urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            return Answer(response.status, response.headers, response.read())
    except HTTPError:
        raise
    except (URLError, HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise CommandError(f"nothing answers at {request.host}: {reason}") from None


def _said(error: HTTPError) -> Mapping[str, Any]:
    """The problem that the API answers with; something else may stand before the API and answer in its place."""
    try:
        said = json.loads(error.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _pause_s(retry_after: str | None) -> float:
    """What a `retry-after` asks for, within bounds; a date is not waited for."""
    try:
        asked_s = float(retry_after or _PAUSE_S)
    except ValueError:
        asked_s = _PAUSE_S
    return min(max(asked_s, 0.0), MAX_PAUSE_S) if math.isfinite(asked_s) else _PAUSE_S
