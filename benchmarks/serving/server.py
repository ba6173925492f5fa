"""The servers that are compared, each a process of its own on a port of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from benchmarks import BENCH, ROOT
from benchmarks.process import Cores, ProcessError, Usage, pinned, usage

WORK = BENCH / "serve"
INFINITY = BENCH / "infinity/bin/infinity_emb"
START_S = 180
STOP_S = 40
POLL_S = 0.02


class Server:
    """A server that is up between `start` and `stop`. In command and environment `{port}` stands for its port."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], ping: str = "/ping") -> None:
        self.name = name
        self.port = free_port()
        self.ping = ping
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._environ = {name: value.replace("{port}", str(self.port)) for name, value in environ.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, log: Path, cores: Cores | None = None, root: Path = ROOT) -> None:
        """Start it, on these cores or on all of this process's, out of the checkout at `root`, and wait until it is
        healthy. Raises ProcessError.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        environ = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | self._environ
        with log.open("wb") as lines, pinned(cores):
            self._process = subprocess.Popen(  # noqa: S603 - a server of ours or one that is compared with it
                self._command, cwd=root, env=environ, stdout=lines, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline_s = time.monotonic() + START_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise ProcessError(f"{self.name} did not start: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it, by force if it does not end itself."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{self.ping}", timeout=5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except (OSError, HTTPException):
            return False

    @property
    def session(self) -> int:
        """The number of the session that all its processes are in. Raises ProcessError where it is not up."""
        if self._process is None:
            raise ProcessError(f"{self.name} is not running")
        return self._process.pid

    @property
    def usage(self) -> Usage:
        """Its CPU and memory so far, with its children's. Raises ProcessError where it is not up."""
        return usage(self.session)


def free_port() -> int:
    """One of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(
    servers: Sequence[Server], cores: Cores | None = None, logs: Path = WORK / "logs"
) -> Iterator[list[Server]]:
    """Those of the servers that start, one after another, until the end of the block. Says which do not."""
    with ExitStack() as ends:
        started = []
        for server in servers:
            try:
                server.start(logs / f"{server.name}-{server.port}.log", cores)
            except (ProcessError, OSError) as error:
                print(error, file=sys.stderr, flush=True)
                continue
            ends.callback(server.stop)
            started.append(server)
        yield started


def ours(name: str, checkpoint: Path, workers: int | None = None, **environ: str) -> Server:
    """The product's server; without `workers` it chooses their number itself."""
    places = {"SAGEMAKER_BIND_TO_PORT": "{port}", "BIND_HOST": "127.0.0.1", "SM_MODEL_DIR": str(checkpoint)}
    threads = {} if workers is None else {"MODEL_WORKERS": str(workers)}
    return Server(name, [sys.executable, "-m", "model.serving", "serve"], places | threads | environ)


def pipeline(checkpoint: Path, workers: int) -> Server:
    """transformers' pipeline behind HTTP: benchmarks/serving/pipeline.py."""
    command = [sys.executable, "-m", "benchmarks.serving.pipeline", str(checkpoint), "{port}", str(workers)]
    return Server("pipeline", command, {})


def infinity(checkpoint: Path) -> Server:
    """infinity-emb with one thread, as its documentation starts it for a model on disk."""
    options = {
        "model-id": str(checkpoint), "served-model-name": "clip", "engine": "torch", "device": "cpu",
        "dtype": "float32", "host": "127.0.0.1", "port": "{port}", "batch-size": "8",
    }  # fmt: skip
    told = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [str(INFINITY), "v2", *told, "--no-model-warmup", "--no-bettertransformer"]
    return Server("infinity", command, {"DO_NOT_TRACK": "1"}, ping="/health")
