"""Who may come in to the emulator: programs of this machine, and of web pages those that it has served itself.

A browser lets every page that a developer visits send requests to 127.0.0.1, and a page may give that address a name of
its own (DNS rebinding): without this, any page could make a Lambda function here and run it. A page of another origin
gets as far as the CORS of the API or the bucket that it asks lets it, and to nothing else; where that lets everybody
in, as it does unless it is told otherwise, pages that this machine serves on other ports.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ministack import app

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""And what ends with .localhost, which resolvers keep on the machine: https://www.rfc-editor.org/rfc/rfc6761"""

API_PATH = "/_aws/execute-api/"
FORM = "application/x-www-form-urlencoded"

OF_OTHER_SITES = ("same-site", "cross-site")
"""Values of Sec-Fetch-Site; another port of this machine is the same site. https://www.w3.org/TR/fetch-metadata/"""


class FrontDoor:
    """An ASGI application that lets requests in to `inner`."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._inner(scope, receive, send)
        if refusal := await self._refusal(scope):
            return await _refuse(scope, send, refusal)
        return await self._inner(scope, receive, send)

    async def _refusal(self, scope: Scope) -> str | None:
        """Why a request may not come in, or None."""
        headers = _headers(scope)
        host = headers.get("host", "")
        if not _is_this_machine(host):
            allowed = f"{', '.join(HOSTS)} or a name that ends with .localhost"
            return f"The host is {host!r}, and local mode answers to {allowed} only."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in (None, f"http://{host}") and site not in OF_OTHER_SITES:
            return None
        is_api = scope["path"].startswith(API_PATH) and app._parse_execute_api_url(host, scope["path"]) is not None
        if is_api and scope.get("method") == "GET" and headers.get("sec-fetch-dest") == "document":
            return None  # somebody follows a link to the page, which no frame shows
        has_rules = scope["type"] == "http" and (is_api or _is_for_a_bucket(scope, headers))
        if has_rules and origin and (scope["method"] == "OPTIONS" or await self._lets_in(scope, origin)):
            return None
        return (
            f"The request comes from a page of {origin or 'another site'}, and local mode lets in programs of this "
            "machine, pages of localhost, and pages that may ask the API: make local CONTEXT='-c cors_origins=http://…'"
        )

    async def _lets_in(self, scope: Scope, origin: str) -> bool:
        """Whether the API or bucket that is asked would let a page of `origin` ask: the answer to a preflight."""
        answered: dict[str, str] = {}
        asking = [(name, value) for name, value in scope["headers"] if name in (b"host", b"origin")]
        asking.append((b"access-control-request-method", scope["method"].encode()))

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.update({name.decode().lower(): value.decode() for name, value in message["headers"]})

        await self._inner({**scope, "method": "OPTIONS", "headers": asking}, nothing, note)
        allowed = answered.get("access-control-allow-origin")
        # Everybody's pages are none of this machine's: one that is to be let in has to be named.
        return allowed == origin or (allowed == "*" and _is_this_machine(origin.partition("://")[2]))


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _is_for_a_bucket(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether S3 will answer. A path like a bucket's may still be another service's, as headers, query and a form say
    which is meant; S3 itself takes forms as multipart/form-data only."""
    if app._s3_cors_target(headers.get("host", ""), scope["path"]) is None or FORM in headers.get("content-type", ""):
        return False
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return bool(app.detect_service(scope["method"], scope["path"], headers, query) == "s3")


def _is_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in [each.strip("[]") for each in HOSTS] or name.endswith(".localhost")


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": ""})
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


def extend() -> None:
    """Put the door before ministack, and take away its own welcome to every origin."""
    app.app = FrontDoor(app.app)
    app._handle_options_request = _only_where_it_is_said(app._handle_options_request)


def _only_where_it_is_said(inner: Callable[..., Any]) -> Callable[..., Any]:
    """ministack's preflight answer, from a bucket's own CORS rules only."""

    def answer(method: str, path: str, headers: dict[str, str], *others: Any) -> Any:
        if method == "OPTIONS" and app._s3_cors_target(headers.get("host", ""), path) is None:
            return 403, {"Content-Type": "text/plain"}, b"This service answers no other origin's page.\n"
        return inner(method, path, headers, *others)

    return answer
