"""A server on a free port of this process, a client of it, and what the tests send."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image

from contract.containers import ServeSettings
from contract.invocation import AnswerAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER
from model.serving.server import create_app
from model.serving.service import Load, Service, load_engine

JSON = "application/json"


def jpeg(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "JPEG")
    return buffer.getvalue()


def as_base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def classify_body(inputs: object, **parameters: object) -> bytes:
    return json.dumps({"inputs": inputs, "parameters": parameters}).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attributes(self) -> AnswerAttributes:
        return AnswerAttributes.decode(self.headers.get(CUSTOM_ATTRIBUTES_HEADER.lower()))


@dataclass(frozen=True)
class Client:
    port: int

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            return self._answer(connection)
        finally:
            connection.close()

    def post(self, body: bytes, content_type: str = JSON, path: str = "/invocations", **headers: str) -> Answer:
        return self.request("POST", path, body, {"content-type": content_type, **headers})

    def begin(self, body: bytes, content_type: str = JSON) -> "HalfSent":
        return HalfSent(self.port, body, content_type)

    @staticmethod
    def _answer(connection: HTTPConnection) -> Answer:
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class HalfSent:
    """A request whose second half waits until `finish`: the server has taken it and can't answer yet."""

    def __init__(self, port: int, body: bytes, content_type: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.putrequest("POST", "/invocations")
        self._connection.putheader("content-type", content_type)
        self._connection.putheader("content-length", str(len(body)))
        self._connection.endheaders(body[: len(body) // 2])
        self._rest = body[len(body) // 2 :]

    def send_rest(self) -> None:
        self._connection.send(self._rest)

    def finish(self) -> Answer:
        self.send_rest()
        try:
            return Client._answer(self._connection)
        finally:
            self._connection.close()

    def leave(self) -> None:
        self._connection.close()


@contextmanager
def running(settings: ServeSettings, load: Load = load_engine, wait: bool = True, **watch: Any) -> Iterator[Client]:
    """A server on a free port, in a thread of this process, with `wait` ready unless it can't be."""
    listener = socket.create_server(("127.0.0.1", 0))
    loaded = threading.Event()
    app = create_app(Service(settings, load), lambda task: loaded.set(), **watch)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert not wait or loaded.wait(30)
        yield Client(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


def settings_for(checkpoint_dir: Path, **options: Any) -> ServeSettings:
    return ServeSettings(base_model_dir=checkpoint_dir, model_dir=Path("/nowhere"), model_workers=1, **options)


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "this never came true"
        time.sleep(0.01)
