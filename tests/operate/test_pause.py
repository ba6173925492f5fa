from typing import Any

from operate.pause import main
from tests.operate.test_promote import _deployed  # noqa: F401, the API's stack of a stage
from tests.wordsight.conftest import (  # noqa: F401, the fixtures that the ones here need
    System,
    _account_that_is_nobodys,
    _s3,
    bucket,
    system,
)
from tests.wordsight.test_pauses import PAUSED, Changes


def test_a_stage_is_paused_and_told_what_that_saves(system: System, capsys: Any) -> None:  # noqa: F811
    system.stepfunctions = Changes(system, **PAUSED)
    assert main(["dev", "pause"], {}) == 0
    told = capsys.readouterr().out
    assert "paused since" in told and "That saves 0.21 USD per hour, 156 USD in a month." in told
    assert "Buckets, images and logs stay, for under 4 USD per month." in told


def test_a_stage_comes_back_and_saves_nothing_then(system: System, capsys: Any) -> None:  # noqa: F811
    system.cloudformation.paused = "yes"
    system.stepfunctions = Changes(system, state="in service")
    assert main(["dev", "resume"], {}) == 0
    told = capsys.readouterr().out
    assert "in service: base" in told and "saves" not in told


def test_what_can_not_be_done_ends_with_its_reason(system: System, capsys: Any) -> None:  # noqa: F811
    system.cloudformation.paused = "yes"
    system.stepfunctions = Changes(system, state="failed", reason="Unable to provision requested ML compute capacity")
    assert main(["dev", "resume"], {}) == 1
    assert "the resume failed: Unable to provision requested ML compute capacity" in capsys.readouterr().err


def test_a_stage_that_is_not_deployed_is_not_paused(capsys: Any) -> None:
    assert main(["prod", "pause"], {}) == 1
    assert "WordsightApi-prod is not deployed here" in capsys.readouterr().err
