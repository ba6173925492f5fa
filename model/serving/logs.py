"""Log lines as JSON objects on stdout: one line each, with whatever is given as `extra`, never image data."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
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
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def log_as_json(level: int = logging.INFO) -> None:
    """Send every log record of this process to stdout as JSON, warnings included."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
