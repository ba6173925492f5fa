"""`open`: the API's page in a browser of this machine, whose requests get your key or your signature on their way.

A browser can't sign, and need not know the key. What passes here may do whatever you may, so only the page comes in: by
an address that nobody can guess, under a name of this machine (no other name is rebound to it), and from no other site.
"""

import secrets
import sys
import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit

from contract.limits import EXPOSED_HEADERS, MAX_INLINE_IMAGE_BYTES
from wordsight.api import Api, CommandError

HOST = "127.0.0.1"
MAX_BODY_BYTES = 2 * MAX_INLINE_IMAGE_BYTES
"""What is passed on: images as base64 are a third larger than MAX_INLINE_IMAGE_BYTES."""
_SECRET_BYTES = 16

_ASKED = ("content-type", "accept", "if-match", "if-none-match", "idempotency-key")
"""Headers of a request that are passed on."""
_ANSWERED = (
    *("content-type", "content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"),
    *EXPOSED_HEADERS,
)
"""And of an answer: none that lets other origins read it."""


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def run(api: Api, arguments: Namespace) -> None:
    """Serve the page until it is interrupted."""
    api.get("/health")  # or it is said here that nothing answers
    with Server(api) as server:
        print(f"{server.address}\nCtrl-C ends it.", flush=True)
        if not arguments.no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


class Server(ThreadingHTTPServer):
    """The page and the API behind it, on a port of this machine alone that was free."""

    daemon_threads = True

    def __init__(self, api: Api) -> None:
        self.secret = secrets.token_urlsafe(_SECRET_BYTES)
        super().__init__((HOST, 0), partial(_Passing, api))

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.secret}/"


class _Passing(BaseHTTPRequestHandler):
    """One request of the page, passed on to the API."""

    protocol_version = "HTTP/1.1"
    server: Server

    def __init__(self, api: Api, *arguments: object) -> None:
        self._api = api
        super().__init__(*arguments)  # type: ignore[arg-type]

    def _pass(self) -> None:
        asked, root = urlsplit(self.path), f"/{self.server.secret}/"
        if refusal := self._refusal(asked.path, root):
            self.close_connection = True  # with what of the request has not been read
            return self._answer(403, {"content-type": "text/plain; charset=utf-8"}, refusal.encode())
        size_bytes = int(self.headers.get("content-length") or 0)
        if size_bytes > MAX_BODY_BYTES:
            self.close_connection = True
            return self._answer(413, {"content-type": "text/plain"}, b"the request is larger than the API takes")
        body = self.rfile.read(size_bytes) if size_bytes else None
        headers = {name: self.headers[name] for name in _ASKED if name in self.headers}
        query = parse_qsl(asked.query, keep_blank_values=True)
        path = asked.path.removeprefix(root.rstrip("/"))
        try:
            answer = self._api.deliver(self.command, path, body, query=query, headers=headers)
        except HTTPError as error:
            return self._answer(error.code, error.headers, error.read())
        except CommandError as error:
            return self._answer(502, {"content-type": "text/plain; charset=utf-8"}, str(error).encode())
        self._answer(answer.status, answer.headers, answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = _pass

    def _refusal(self, path: str, root: str) -> str | None:
        """Why a request may not come in, or None."""
        port = self.server.server_port
        if self.headers.get("host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return f"this answers as {HOST}:{port} only"
        if self.headers.get("origin") not in (None, f"http://{self.headers['host']}"):
            return "this answers to its own page only"
        if not secrets.compare_digest(path[: len(root)].encode(), root.encode()):
            return "the address is not the one that `wordsight open` has printed"
        return None

    def _answer(self, status: int, headers: Mapping[str, str] | Message, content: bytes) -> None:
        self.send_response(status)
        for name in _ANSWERED:
            if value := headers.get(name):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The terminal is the person's."""
