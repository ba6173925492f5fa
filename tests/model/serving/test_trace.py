"""A trace tells how long stages took, and in which one a request ended."""

import time

import pytest

from model.serving.observe import Trace


def test_a_finished_stage_has_a_duration() -> None:
    trace = Trace()
    with trace.stage("total"), trace.stage("decode"):
        assert trace.open_stages == {"total", "decode"}
    assert trace.open_stages == set()
    assert set(trace.durations_ms) == {"total", "decode"}
    assert trace.durations_ms["total"] >= trace.durations_ms["decode"] >= 0


def test_a_stage_left_by_an_exception_stays_open() -> None:
    trace = Trace()
    with pytest.raises(TimeoutError), trace.stage("labels"):
        raise TimeoutError
    assert trace.open_stages == {"labels"}
    assert trace.durations_ms == {}


def test_a_part_of_a_stage_may_count_as_another_and_one_that_comes_again_adds_up() -> None:
    trace = Trace()
    for _ in range(2):
        with trace.stage("model") as model:
            time.sleep(0.02)
            model.of_which("queue", 0.015)
    assert trace.durations_ms["queue"] == 30
    assert trace.durations_ms["model"] >= 10
