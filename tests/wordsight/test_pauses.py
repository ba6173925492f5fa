from typing import Any

import pytest

from contract.endpoint import CHANGE_KEY, EndpointChange
from tests.lambdas.control_plane import StepFunctions
from tests.wordsight.conftest import Shell, System

SINCE = "2026-11-29T18:00:00+00:00"
PAUSED = {"state": "paused", "paused_since": SINCE, "paused_by": "request"}


class Changes(StepFunctions):
    """Pauses and resumes end as soon as they begin, and the stack is changed as they say."""

    def __init__(self, system: System, **outcome: Any) -> None:
        super().__init__()
        self._system, self._outcome = system, outcome

    def start_execution(self, **request: Any) -> dict[str, Any]:
        change = EndpointChange.model_validate(self._system.store.load(EndpointChange, CHANGE_KEY, "none").value)
        self._system.store.write(CHANGE_KEY, change.model_copy(update=self._outcome))
        if self._outcome["state"] != "failed":
            self._system.cloudformation.paused = "yes" if change.action == "pause" else "no"
        return super().start_execution(**request)


def test_a_pause_is_waited_for_and_says_what_is_saved(shell: Shell, system: System) -> None:
    system.stepfunctions = Changes(system, **PAUSED)
    ran = shell("pause")
    assert (ran.status, ran.err) == (0, "pause: paused\n")
    said = f"paused since {SINCE}, base stays what comes back. It cost 0.25 USD per hour, and costs nothing but storage"
    assert ran.out == f"{said} now.\n"
    assert shell("pause", "--json").json["usd_per_hour"] == 0


def test_a_resume_is_waited_for(shell: Shell, system: System) -> None:
    system.stepfunctions = Changes(system, **PAUSED)
    shell("pause")
    system.stepfunctions = Changes(system, state="in service", paused_since=None)
    ran = shell("resume")
    assert (ran.status, ran.out) == (0, "in service: base, for 0.25 USD per hour\n")


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_one_that_fails_ends_with_its_reason(shell: Shell, system: System, action: str) -> None:
    system.cloudformation.paused = "yes" if action == "resume" else "no"
    system.stepfunctions = Changes(system, state="failed", reason="the batch one runs")
    ran = shell(action)
    assert (ran.status, f"the {action} failed: the batch one runs" in ran.err) == (1, True)


def test_nobody_has_to_wait(shell: Shell, system: System) -> None:
    assert shell("pause", "--no-wait").out == "pause: requested\n"
    assert shell("pause", "--no-wait", "--json").json["action"] == "pause"


def test_what_can_not_be_paused_now_is_said_in_the_apis_words(shell: Shell, system: System) -> None:
    system.cloudformation.status, system.cloudformation.polls = "UPDATE_ROLLBACK_IN_PROGRESS", 99
    ran = shell("pause")
    assert (ran.status, "the endpoint is being changed" in ran.err) == (1, True)
