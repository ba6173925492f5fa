from typing import Any

import pytest

from lambdas.annotate import main as annotate
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT
from tests.lambdas.gateway import Answer, proxy_event


def test_the_handler_of_the_function_reads_the_environment_at_its_first_call(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ANNOTATE_SETTINGS.to_env().items():
        monkeypatch.setenv(name, value)
    answer = Answer(annotate.handler(proxy_event("GET", "/tasks"), CONTEXT))  # type: ignore[arg-type]
    assert answer.status == 200 and answer.json == {"tasks": [], "next": None}
