"""Loads near the capacity and beyond it."""

import pytest

from benchmarks.serving.client import Sample
from benchmarks.serving.load import Load
from benchmarks.serving.overload import Effort, Overload, at_random, bar_figures, evenly, recovery_s


def load(samples: list[Sample], wall_s: float, rss_bytes: int = 1000) -> Load:
    return Load(samples, wall_s, 1, 0, 0, 0, rss_bytes)


def test_times_are_even_or_random_and_as_many_as_the_rate_says() -> None:
    assert evenly(4, 1) == [0, 0.25, 0.5, 0.75]
    times = at_random(100, 20)
    assert times == sorted(times) == at_random(100, 20) and times[-1] < 20
    assert 1800 < len(times) < 2200


def test_a_server_has_recovered_when_most_of_five_answers_in_a_row_are_as_fast_as_before() -> None:
    latencies = [900, 700, 500, 90, 110, 90, 500, 95]
    samples = [Sample(number, latency, 200) for number, latency in enumerate(latencies)]
    assert recovery_s(samples, normal_ms=100) == 3
    assert recovery_s(samples, normal_ms=50) == float("inf")
    refused = [Sample(0, 1, 429), *(Sample(number, 90, 200) for number in range(1, 6))]
    assert recovery_s(refused, normal_ms=100) == 1


def test_every_bar_of_the_load_has_a_figure() -> None:
    fast, refused = [Sample(n, 100, 200) for n in range(10)], [Sample(n, 4, 429) for n in range(30)]
    late = [Sample(0, 1001, 200)] * 2
    found = Overload(
        lone=load(fast, 1), capacity=load(fast, 1), even=load([*fast, Sample(9, 300, 200)], 1),
        random=load(fast, 1, 1000), beyond=load([*fast[:7], *late, *refused], 1),
        pings=[Sample(0, 8, 200)], after=load(fast, 1, 1020),
    )  # fmt: skip
    figures = bar_figures(found, Effort(1, 1, 1, 1))
    assert figures == {
        "p99": 3, "refused": 0, "useful": pytest.approx(0.7), "accepted": pytest.approx(2.002),
        "reject": 4, "ping": 8, "recovery": 0, "growth": pytest.approx(0.02),
    }  # fmt: skip
