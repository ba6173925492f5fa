"""What is right of an answer, whatever was asked: its status is documented, and what refuses is a problem in words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.limits import PROBLEM_MEDIA_TYPE
from contract.routes import ROUTES
from lambdas.classify import openapi

MAX_PROBLEM_BYTES = 65_536
LEAST_SENTENCE_CHARS = 10
OURS = (500, 502)
"""Statuses of a fault that nobody has foreseen, which no request and no failure of a machine may cause."""

_PATTERNS = {route: re.compile(re.sub(r"{\w+}", "[^/]+", route.path)) for route in ROUTES}
_PATHS = openapi.document()["paths"]


@dataclass(frozen=True)
class Answer:
    """What came; the status 0 is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_s: float = 0.0

    @property
    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


def operation(method: str, path: str) -> str | None:
    """The operation of the API, such as "GET /tasks/{task}"; None if it is none."""
    found = [route for route, pattern in _PATTERNS.items() if route.method == method and pattern.fullmatch(path)]
    best = min(found, key=lambda route: route.path.count("{"), default=None)
    return f"{best.method} {best.path}" if best else None


def fault_of(method: str, path: str, answer: Answer) -> str | None:
    """Why an answer is none that the API's description allows, or None. `path` has no query."""
    if answer.status in OURS:
        return f"{answer.status}: {answer.body[:200]!r}"
    if named := operation(method, path):
        responses = _PATHS[named.partition(" ")[2]][method.lower()]["responses"]
        if not {str(answer.status), f"{answer.status // 100}XX"} & responses.keys():
            return f"{answer.status} is not documented, there are {', '.join(responses)}"
    return None if answer.status < 400 else _fault_of_problem(answer)


def _fault_of_problem(answer: Answer) -> str | None:
    if len(answer.body) > MAX_PROBLEM_BYTES:
        return f"a problem of {len(answer.body):,} bytes"
    kind = answer.headers.get("content-type", "")
    if not kind.startswith(PROBLEM_MEDIA_TYPE):
        return f"{answer.status} as {kind!r}: {answer.body[:200]!r}"
    try:
        problem = answer.json
    except ValueError:
        return f"a problem that is no JSON: {answer.body[:200]!r}"
    if problem.get("status") != answer.status or len(problem.get("detail", "")) < LEAST_SENTENCE_CHARS:
        return f"a problem without its status or a sentence: {answer.body[:200]!r}"
    if answer.status in (429, 503) and "retry-after" not in answer.headers and "retry_after_s" not in problem:
        return f"{answer.status} without retry-after: {answer.body[:200]!r}"
    return None
