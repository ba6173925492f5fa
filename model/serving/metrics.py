"""What `/metrics` shows: Prometheus counters and histograms of one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import prometheus_client.core as prometheus
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


class Metrics:
    """Counts of one server process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("wordsight_requests", "Invocations answered", ["status"], registry=self.registry)
        self._stages = Histogram(
            "wordsight_stage_seconds",
            "Time spent per stage of an invocation",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._batches = Histogram(
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
            self._stages.labels(stage).observe(duration_ms / 1000)

    def batch(self, images: int) -> None:
        """Count one batch of images."""
        self._batches.observe(images)

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
