"""Small HTTP servers that tests talk to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the tests' output to the tests."""


@contextmanager
def serving(handler: type[Quiet]) -> Iterator[int]:
    """The port of 127.0.0.1 at which `handler` answers meanwhile."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
