"""A log line is one JSON object with everything that was said."""

import json
import logging
import sys

from model.serving.observe import JsonFormatter


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
