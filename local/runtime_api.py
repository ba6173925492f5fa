"""Lambda's runtime API: where the process of a function asks for its invocations and tells what it makes of them.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import queue
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

RUNTIME = "/2018-06-01/runtime"
POLL_S = 0.1


class Outcome(NamedTuple):
    """What became of an invocation, or of a start that failed."""

    number: str
    """The invocation's; "" of a start."""
    succeeded: bool
    payload: bytes
    """The answer or the error, in JSON."""
    error_type: str = ""
    """As the process calls it beside the error, such as "Runtime.NoModel"."""


class RuntimeServer:
    """For one process, on a free port. Who asks for an invocation after the end is answered with 410."""

    def __init__(self) -> None:
        self.asked_for: queue.SimpleQueue[None] = queue.SimpleQueue()
        """One for each time that the next invocation was asked for."""
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.given: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        """Invocations by their number, with their event in JSON, which are handed out one after another."""
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Asked, self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.host_and_port = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End, and answer nobody any more."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Asked(BaseHTTPRequestHandler):
    def __init__(self, api: RuntimeServer, *request: Any) -> None:
        self._api = api
        with suppress(ConnectionError):  # a process that was killed
            super().__init__(*request)

    def do_GET(self) -> None:
        """The next invocation, once there is one."""
        if self.path != f"{RUNTIME}/invocation/next":
            return self._answer(404, b"")
        self._api.asked_for.put(None)
        while not self._api.ended.is_set():
            with suppress(queue.Empty):
                number, event = self._api.given.get(timeout=POLL_S)
                return self._answer(200, event, **{"Lambda-Runtime-Aws-Request-Id": number})
        return self._answer(410, b"no more")

    def do_POST(self) -> None:
        """An answer, or an error of an invocation or of the start."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        what, _, kind = self.path.removeprefix(f"{RUNTIME}/").rpartition("/")
        number = what.removeprefix("invocation/") if what != "init" else ""
        error_type = self.headers.get("Lambda-Runtime-Function-Error-Type", "")
        self._api.outcomes.put(Outcome(number, kind == "response", body, error_type))
        self._answer(202, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the process has a log of its own."""
