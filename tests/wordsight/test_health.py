import json

import pytest

from tests.wordsight.conftest import Shell, System
from tests.wordsight.test_api import answering
from wordsight.__main__ import main


def test_it_says_how_the_endpoint_is(shell: Shell) -> None:
    ran = shell("health")
    assert (ran.status, ran.out.splitlines()[0].split()) == (0, ["status", "InService"])
    assert shell("health", "--json").json["endpoint"] == "wordsight-test"


def test_an_endpoint_that_answers_nobody_ends_it_with_1(shell: Shell, system: System) -> None:
    system.sagemaker.endpoint_status = "Creating"
    ran = shell("health")
    assert ran.status == 1 and "Creating" in ran.err


def test_what_the_model_knows_is_told_where_the_api_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"status": "InService", "knows": "Drawings only.", "languages": ["en", "de"], "licence": "MIT", "x": None}
    with answering([(200, {}, json.dumps(known).encode())]) as (url, _):
        assert main(["health", "--url", url, "--api-key", "k"], {}) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [["knows", "Drawings only."], ["languages", "en, de"], ["licence", "MIT"]]
