"""Observability of one server: Prometheus metrics, the trace of a request's stages, and logs as JSON lines."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

import orjson
import prometheus_client.core as prometheus
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


class Metrics:
    """Counts of one server process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("wordsight_requests", "Invocations answered", ["status"], registry=self.registry)
        stages = Histogram(
            "wordsight_stage_seconds",
            "Time spent per stage of an invocation",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._stage = cache(stages.labels)
        self.batches = Histogram(
            "wordsight_batch_images", "Images per batch of the model", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self._decoded = Counter(
            "wordsight_images_decoded",
            "Images opened, by how much a JPEG was shrunk per side while it was decoded",
            ["shrunk_by"],
            registry=self.registry,
        )

    def answered(self, status: int, durations_ms: Mapping[str, float]) -> None:
        """Count one answered invocation and how long each of its stages took."""
        self._requests.labels(str(status)).inc()
        for stage, duration_ms in durations_ms.items():
            self._stage(stage).observe(duration_ms / 1000)

    def decoded(self, shrunk_by: int) -> None:
        """Count one image that was opened. May be called from any thread."""
        self._decoded.labels(str(shrunk_by)).inc()

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a value that is read when asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def watch_counts(self, name: str, text: str, label: str, counts: Callable[[], Mapping[str, float]]) -> None:
        """Show counts that somebody else keeps, by the values of one label; read when asked for."""
        self.registry.register(_Counts(name, text, label, counts))

    def page(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


class _Counts:
    def __init__(self, name: str, text: str, label: str, counts: Callable[[], Mapping[str, float]]) -> None:
        self._name, self._text, self._label, self._counts = name, text, label, counts

    def collect(self) -> Iterable[prometheus.Metric]:
        family = prometheus.CounterMetricFamily(self._name, self._text, labels=[self._label])
        for value, count in self._counts().items():
            family.add_metric([value], count)
        yield family


class Trace:
    """Stage durations of one request, and the stages it is in now.

    Stages may overlap, as they run beside each other; one that comes again adds to what it took before.
    """

    def __init__(self) -> None:
        self.durations_ms: dict[str, float] = {}
        self.open_stages: set[str] = set()
        self.truncated_prompts = 0
        self.met_new_labels = False
        self.heads: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, float]]:
        """Time what is done inside. A stage left by an exception stays in `open_stages`: it tells where it happened.

        Seconds of it that count as another stage are put into what is yielded, by that one's name.
        """
        self.open_stages.add(name)
        started_s = time.perf_counter()
        parts_s: dict[str, float] = {}
        yield parts_s
        parts_s[name] = time.perf_counter() - started_s - sum(parts_s.values())
        for part, duration_s in parts_s.items():
            self.durations_ms[part] = round(self.durations_ms.get(part, 0.0) + duration_s * 1000, 3)
        self.open_stages.remove(name)


STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
"""What every record carries anyway; everything else on a record was given by `extra`."""


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, then the extras, and the traceback of an exception in `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_as_json(level: int = logging.INFO) -> None:
    """Send every log record of this process to stdout as JSON, warnings included."""
    # what the lines do not tell is not looked for: https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
