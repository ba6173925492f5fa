"""A stand-in for what Lambda shows a runtime: it hands out invocations, and keeps what is answered."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from contract.serving_function import Invocation, Invoked

RUNTIME = "/2018-06-01/runtime"


class FakeRuntimeApi:
    """Answers on a free port of this process. After `end` who asks for an invocation gets an error."""

    def __init__(self) -> None:
        self.asked_for: queue.SimpleQueue[None] = queue.SimpleQueue()
        """One for each time that the next invocation was asked for."""
        self.init_errors: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._numbers = iter(range(1_000))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.host_and_port = f"127.0.0.1:{self._server.server_address[1]}"

    def invoke_raw(self, event: bytes) -> bytes:
        number = f"number-{next(self._numbers)}"
        self._events.put((number, event))
        answered, payload = self._answers.get(timeout=120)
        if answered != number:
            raise ValueError(f"{number} was asked and {answered} is answered")
        return payload

    def invoke(self, body: bytes, content_type: str = "application/json", custom_attributes: str = "") -> Invoked:
        event = Invocation.of(content_type, custom_attributes, body).model_dump_json().encode()
        return Invoked.model_validate_json(self.invoke_raw(event))

    def end(self) -> None:
        self._events.put(None)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # a function that was killed
                    super().handle()

            def do_GET(self) -> None:
                if self.path != f"{RUNTIME}/invocation/next":
                    return self._send(404, b"")
                api.asked_for.put(None)
                given = api._events.get()
                number, event = given or ("", b"no more")
                return self._send(200 if given else 500, event, number)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == f"{RUNTIME}/init/error":
                    kind = self.headers["Lambda-Runtime-Function-Error-Type"]
                    api.init_errors.put({**json.loads(body), "header": kind})
                else:
                    number = self.path.removeprefix(f"{RUNTIME}/invocation/").removesuffix("/response")
                    api._answers.put((number, body))
                self._send(202, b'{"status":"OK"}')

            def _send(self, status: int, body: bytes, number: str = "") -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.send_header("Lambda-Runtime-Aws-Request-Id", number)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler


@contextmanager
def runtime_api() -> Iterator[FakeRuntimeApi]:
    api = FakeRuntimeApi()
    try:
        yield api
    finally:
        api.end()
        api.close()
