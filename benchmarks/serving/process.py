"""A server as a process of its own, and what it costs: CPU seconds and memory of it and its children, by /proc."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks import ROOT
from contract.containers import ServeSettings

INFINITY = ROOT / ".bench/infinity/bin/infinity_emb"
START_S = 180
STOP_S = 40
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Cores = frozenset[int]


class ServerError(Exception):
    """A server did not start. The text is what it printed last."""


class Server:
    """A server on a port of this machine that is up between `start` and `stop`."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], ping: str = "/ping") -> None:
        self.name = name
        self.port = _free_port()
        self.ping = ping
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._environ = {name: value.replace("{port}", str(self.port)) for name, value in environ.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, log: Path, cores: Cores | None = None) -> None:
        """Start it, on these cores or on all of this process's, and wait until it is healthy. Raises ServerError."""
        log.parent.mkdir(parents=True, exist_ok=True)
        environ = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | self._environ
        with log.open("wb") as lines, pinned(cores):
            self._process = subprocess.Popen(  # noqa: S603 - a server of ours or one that is compared with it
                self._command, cwd=ROOT, env=environ, stdout=lines, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline_s = time.monotonic() + START_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise ServerError(f"{self.name} did not start: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.2)

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
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self.ping)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def cpu_s(self) -> float:
        """What it has used so far, user and system, with its children."""
        return sum(_cpu_ticks(stat) for stat in self._stats()) / TICKS_PER_S

    @property
    def rss_bytes(self) -> int:
        """The memory that it holds now, with its children; what they share counts twice."""
        return sum(int(stat[21]) for stat in self._stats()) * PAGE_BYTES

    def _stats(self) -> Iterator[list[str]]:
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return process_tree(self._process.pid)


def process_tree(pid: int) -> Iterator[list[str]]:
    """The fields of /proc/<pid>/stat from the third on, of a process and its descendants."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except OSError:  # it has just ended
        return
    yield stat
    for child in children:
        yield from process_tree(child)


def _children(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _cpu_ticks(stat: Sequence[str]) -> int:
    return sum(map(int, stat[11:15]))  # user and system, its own and that of children it has waited for


@contextmanager
def pinned(cores: Iterable[int] | None) -> Iterator[None]:
    """Keep this thread, and processes started meanwhile, on these cores; None: as it is."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if cores is None else cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def ours(name: str, checkpoint: Path, workers: int | None = None, **environ: str) -> Server:
    """The product's server; without `workers` it chooses their number itself."""
    places = {"SAGEMAKER_BIND_TO_PORT": "{port}", "BIND_HOST": "127.0.0.1", "SM_MODEL_DIR": str(checkpoint)}
    threads = {} if workers is None else {"MODEL_WORKERS": str(workers)}
    return Server(name, [sys.executable, "-m", "model.serving", "serve"], places | threads | environ)


def understands(variable: str) -> bool:
    """Whether the product's server reads this variable; it ignores others."""
    return variable in {field.alias for field in ServeSettings.model_fields.values()}


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


@contextmanager
def running(servers: Sequence[Server], logs: Path, cores: Cores | None = None) -> Iterator[list[Server]]:
    """Those of the servers that start, one after another, until the end of the block. Says which do not."""
    with ExitStack() as ends:
        started = []
        for server in servers:
            try:
                server.start(logs / f"{server.name}-{server.port}.log", cores)
            except (ServerError, OSError) as error:
                print(error, file=sys.stderr, flush=True)
                continue
            ends.callback(server.stop)
            started.append(server)
        yield started
