"""A trace tells how long stages took and in which one a request ended; a log line is one JSON object."""

import json
import logging
import sys
import time

import pytest

from model.serving.observe import JsonFormatter, Trace


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
            model["queue"] = 0.015
    assert trace.durations_ms["queue"] == 30
    assert trace.durations_ms["model"] >= 10


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("model.serving.server", logging.INFO, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


def test_a_line_is_json_with_its_extras() -> None:
    line = json.loads(JsonFormatter().format(record("answered %s", "well", status=200, ms={"model": 1.5})))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "model.serving.server",
        "message": "answered well",
        "status": 200,
        "ms": {"model": 1.5},
    }


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    text = JsonFormatter().format(failed)
    assert "\n" not in text
    assert "ValueError: two\nlines" in json.loads(text)["exception"]


def test_what_json_does_not_know_becomes_text() -> None:
    assert json.loads(JsonFormatter().format(record("x", thing={1, 2})))["thing"] == "{1, 2}"
