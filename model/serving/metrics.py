"""What `/metrics` shows: Prometheus counters and histograms of one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric

STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """Counts of one server process, in a registry of its own. `in_flight` is read when asked for."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("wordsight_requests", "Invocations answered", ["status"], registry=self.registry)
        self._stages = Histogram(
            "wordsight_stage_seconds",
            "Time spent per stage of an invocation",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        admitted = Gauge("wordsight_requests_in_flight", "Invocations admitted, not answered", registry=self.registry)
        admitted.set_function(in_flight)

    def answered(self, status: int, durations_ms: Mapping[str, float]) -> None:
        """Count one answered invocation and how long each of its stages took."""
        self._requests.labels(str(status)).inc()
        for stage, duration_ms in durations_ms.items():
            self._stages.labels(stage).observe(duration_ms / 1000)

    def watch_label_cache(self, lookups: Callable[[], tuple[int, int]]) -> None:
        """Show the label cache's (hits, misses), read when asked for."""
        self.registry.register(_LabelCacheCollector(lookups))

    def page(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


class _LabelCacheCollector:
    def __init__(self, lookups: Callable[[], tuple[int, int]]) -> None:
        self._lookups = lookups

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily("wordsight_label_cache_lookups", "Prompts looked up", labels=["result"])
        for result, count in zip(("hit", "miss"), self._lookups(), strict=True):
            family.add_metric([result], count)
        yield family
