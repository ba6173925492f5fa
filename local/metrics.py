"""A training job's metrics: what its MetricDefinitions find in the lines that it prints."""

import math
import re
import time
from collections.abc import Iterable, Sequence

from local.api import ApiError, Record


class Metrics:
    """The newest value of every metric. `definitions` is AlgorithmSpecification.MetricDefinitions: a name, and a
    regular expression whose first group is the value.

    Raises ApiError for an expression that is none, or that has no group.
    """

    def __init__(self, definitions: Sequence[Record]) -> None:
        self._patterns = {definition["Name"]: _pattern(definition) for definition in definitions}
        self._newest: dict[str, Record] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Take in what the program printed. As on SageMaker, what is no number is passed over."""
        for line in lines:
            for name, pattern in self._patterns.items():
                for value in map(_number, pattern.findall(line)):
                    if value is not None:
                        self._newest[name] = {"MetricName": name, "Value": value, "Timestamp": time.time()}

    @property
    def final(self) -> list[Record]:
        """DescribeTrainingJob's FinalMetricDataList, which is there from the first value on."""
        return list(self._newest.values())


def _pattern(definition: Record) -> re.Pattern[str]:
    try:
        pattern = re.compile(definition["Regex"])
    except re.error as error:
        raise _refusal(definition, str(error)) from None
    if not pattern.groups:
        raise _refusal(definition, "it has no group for the value")
    return pattern


def _refusal(definition: Record, reason: str) -> ApiError:
    text = f"The regular expression of metric {definition['Name']}, {definition['Regex']!r}, cannot be used: {reason}."
    return ApiError("ValidationException", text)


def _number(found: str | tuple[str, ...]) -> float | None:
    try:
        value = float(found if isinstance(found, str) else found[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None
