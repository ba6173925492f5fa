"""An inference container behind an endpoint: started, checked with /ping, kept alive, invoked, stopped."""

import http.client
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.containers import Container

PING_TIMEOUT_S = 2
INVOCATION_TIMEOUT_S = 60
STOP_GRACE_S = 30
"""SageMaker's own figures: a container must answer within 60 s and is killed 30 s after SIGTERM."""

RESTART_PAUSE_S = 1

FORWARDED_HEADERS = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
"""InvokeEndpoint strips every other header before the container sees the request."""


class ContainerFailed(Exception):
    """The container did not become healthy. The text is what DescribeEndpoint gives as FailureReason."""


@dataclass(frozen=True)
class Answer:
    """What the container said to one invocation."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InferenceContainer:
    """One `serve` program in `base`, listening on a port of its own. `start` launches it and can be called again."""

    def __init__(self, base: Path, start: Callable[[int], Container]) -> None:
        self._base = base
        self._start = start
        self._stopping = threading.Event()
        self.port = _free_port()
        self._container = start(self.port)

    def wait_until_healthy(self, timeout_s: float) -> None:
        """Return once /ping answers 200, then keep the program alive; raises ContainerFailed."""
        deadline = time.monotonic() + timeout_s
        while not self._ping():
            code = self._container.exit_code
            if code is not None:
                raise ContainerFailed(f"The serve program ended with code {code}: {self._container.last_words()}")
            if time.monotonic() > deadline:
                raise ContainerFailed(
                    f"The primary container did not pass the ping health check within {timeout_s:g} s: "
                    + self._container.last_words()
                )
            time.sleep(0.1)
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST /invocations; raises OSError or http.client.HTTPException when no whole answer comes in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOCATION_TIMEOUT_S)
        try:
            forwarded = {name: value for name, value in headers.items() if name.lower() in FORWARDED_HEADERS}
            connection.request("POST", "/invocations", body, forwarded)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def stop(self) -> None:
        """End the program after it has drained, and remove its folder."""
        self._stopping.set()
        self._container.stop(STOP_GRACE_S)
        shutil.rmtree(self._base, ignore_errors=True)

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _keep_alive(self) -> None:
        while not self._stopping.is_set():
            self._container.wait()
            if not self._stopping.wait(RESTART_PAUSE_S):
                self._container = self._start(self.port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
