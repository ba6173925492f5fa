"""The API as the commands see it: JSON goes in, JSON comes out, and a refusal is raised as the API's own sentence.

Which deployment is meant is said by the flags, else by the environment, else it is the one that runs on this machine.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from contract.forms import write_form
from contract.idempotency import IDEMPOTENCY_HEADER
from contract.limits import API_KEY_HEADER, API_TIMEOUT_S, MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES

Item = TypeVar("Item")

URL_VARIABLE = "WORDSIGHT_URL"
KEY_VARIABLE = "WORDSIGHT_API_KEY"
LOCAL = Path(__file__).resolve().parent.parent / ".local"
"""Where `make local` writes down the address and the key."""

MAX_ATTEMPTS = 5
_PAUSE_S = 2.0
_UPLOAD_TIMEOUT_S = 300


class CommandError(Exception):
    """What a person is told before the command ends with 1."""


class RefusedError(CommandError):
    """The API's own refusal, with the status of its answer."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


Sign = Callable[[str, str, bytes | None, Mapping[str, str]], Mapping[str, str]]
"""From a request's method, address, body and headers to the headers with a signature."""


@dataclass(frozen=True)
class Api:
    """One deployment. `pause` waits, in seconds, before what was too much at once is tried again."""

    url: str
    key: str
    pause: Callable[[float], None] = time.sleep
    sign: Sign | None = None
    """For an API that asks for signatures (`auth=iam`)."""

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
        sent = {API_KEY_HEADER: self.key, **media_type, **(headers or {})}
        # As SigV4 spells it: a signature is made of what is sent, and API Gateway checks it against this spelling.
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        url = f"{self.url.rstrip('/')}{path}{asked}"
        for left in reversed(range(MAX_ATTEMPTS)):
            try:
                signed = self.sign(method, url, content, sent) if self.sign else sent
                answer, received = send(url, content, signed, method, API_TIMEOUT_S + 1)
                return json.loads(answer) if answer else None, received
            except HTTPError as error:
                if error.code not in (429, 503) or not left:
                    raise RefusedError(_sentence(error), error.code) from None
                self.pause(float(error.headers.get("retry-after") or _PAUSE_S))
            except ValueError:
                raise CommandError("what answers there is not the API: its answer is no JSON") from None
        raise AssertionError  # the last attempt returns or raises

    def upload(self, image: bytes, form: Mapping[str, Any]) -> None:
        """Send an image where POST /uploads said, by its form. Raises CommandError."""
        media_type, content = write_form(form["fields"], [("file", image)])
        try:
            send(form["url"], content, {"content-type": media_type}, "POST", _UPLOAD_TIMEOUT_S)
        except HTTPError as error:
            raise CommandError(f"the data bucket did not take the image: {error.code} {error.reason}") from None


def connect(url: str | None, key: str | None, environ: Mapping[str, str], local: Path = LOCAL) -> Api:
    """The API. Raises CommandError if nothing says where it is."""
    if found := url or environ.get(URL_VARIABLE):
        return Api(found, key or environ.get(KEY_VARIABLE) or "")
    if not (local / "url").is_file():
        raise CommandError(
            f"no API is known: give --url and --api-key, or set {URL_VARIABLE} and {KEY_VARIABLE}, "
            "or start one on this machine: make local"
        )
    return Api((local / "url").read_text().strip(), key or (local / "api-key").read_text().strip())


def send(
    url: str, content: bytes | None, headers: Mapping[str, str], method: str, timeout_s: float
) -> tuple[bytes, HTTPMessage]:
    """The body of the answer, and its headers. Raises HTTPError if it is no success, CommandError if there is none."""
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"the address is {url!r}, allowed is one that begins with https:// or http://")
    request = Request(url, content, dict(headers), method=method)  # noqa: S310, checked above
    try:
        with urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            return response.read(), response.headers
    except HTTPError:
        raise
    except (URLError, HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise CommandError(f"nothing answers at {request.host}: {reason}") from None


def read_image(path: Path) -> bytes:
    """The file's bytes. Raises CommandError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}") from None


def image_source(api: Api, image: bytes) -> Any:
    """What stands for the image in a request. One that is too large for that is uploaded. Raises CommandError."""
    if len(image) <= MAX_INLINE_IMAGE_BYTES:
        return base64.b64encode(image).decode()
    if len(image) > MAX_INVOCATION_BYTES:
        raise CommandError(f"the image has {len(image):,} bytes, at most {MAX_INVOCATION_BYTES:,} are taken: shrink it")
    (form,) = api.create("/uploads", {})["uploads"]
    api.upload(image, form)
    return {"s3_key": form["s3_key"]}


def image_chunks(images: Iterable[tuple[Item, bytes]]) -> Iterator[list[tuple[Item, bytes]]]:
    """As many together as one request may have; what is uploaded before counts as an image that is alone in it."""
    chunk: list[tuple[Item, bytes]] = []
    size_bytes = 0
    for item, image in images:
        if chunk and (len(chunk) == MAX_IMAGES or size_bytes + len(image) > MAX_INLINE_IMAGE_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append((item, image))
        size_bytes += len(image)
    if chunk:
        yield chunk


def _sentence(error: HTTPError) -> str:
    """What the API says of it; something else may stand before the API and answer in its place."""
    try:
        said = json.loads(error.read())
    except ValueError:
        said = None
    detail = said.get("detail") if isinstance(said, dict) else None
    return str(detail or f"{error.code} {error.reason}: this does not look like the API's own answer")
