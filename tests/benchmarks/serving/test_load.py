"""What a load did."""

import math

import pytest

from benchmarks.serving.client import Sample
from benchmarks.serving.load import Load, Reading, between, percentile, shares


def reading(at_s: float, cpu_s: float, ticks: list[int], rss_bytes: int = 0) -> Reading:
    return Reading(at_s, cpu_s, cpu_s / 10, ticks, rss_bytes)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert [percentile(values, share) for share in (0, 0.25, 0.5, 0.51, 0.99, 1)] == [10, 10, 20, 30, 40, 40]
    assert math.isnan(percentile([], 0.5))


def test_only_answers_count() -> None:
    samples = [Sample(0, 10, 200), Sample(1, 1, 429), Sample(2, 30, 200), Sample(3, 1, 0)]
    load = Load(samples, wall_s=4, cpu_s=0.5, generator_cpu_s=0, idle=0, steal=0, rss_bytes=0)
    assert (load.per_s, load.cpu_ms, load.latency_ms(0.99)) == (0.5, 250, 30)
    assert math.isnan(Load(samples[1:2], 4, 0.5, 0, 0, 0, 0).cpu_ms)


def test_a_load_costs_what_the_clocks_say_between_its_readings() -> None:
    before, after = reading(100, 7, [0] * 8, 10), reading(104, 9, [3, 0, 0, 4, 1, 0, 0, 2], 20)
    load = between(before, after, [])
    assert (load.wall_s, load.cpu_s, load.rss_bytes) == (4, 2, 20)
    assert load.generator_cpu_s == pytest.approx(0.2)
    assert (load.idle, load.steal) == (0.5, 0.2)


def test_no_time_has_no_shares() -> None:
    assert shares([1] * 8, [1] * 8) == (0, 0)
