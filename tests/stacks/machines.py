"""Runs the states of a synthesized state machine, with functions of a test in the place of its tasks."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from ministack.services import stepfunctions

from tests.stacks.conftest import Template, flat

Task = Callable[[str, Any], Any]
"""From a task's state name and what it is sent to its result. It may raise `failure`."""

_TASKS = "arn:aws:states:::tests:"


def failure(error: str, cause: str) -> Exception:
    """How a task fails."""
    raised: Exception = stepfunctions._ExecutionError(error, cause)
    return raised


class Machine:
    """One state machine of a template, by the beginning of its logical id."""

    def __init__(self, template: Template, id: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        definition = json.loads(flat(template.the("AWS::StepFunctions::StateMachine", id)["DefinitionString"]))
        self.start: str = definition["StartAt"]
        self.states: dict[str, Any] = copy.deepcopy(definition["States"])
        self.resources = {name: each["Resource"] for name, each in self.states.items() if each["Type"] == "Task"}
        for name in self.resources:
            self.states[name]["Resource"] = f"{_TASKS}{name}"
        self.slept_s: list[float] = []

        def call(resource: str, request: Any) -> Any:
            return task(resource.removeprefix(_TASKS), request)

        monkeypatch.setitem(stepfunctions._SERVICE_DISPATCH, _TASKS, call)
        monkeypatch.setattr(stepfunctions, "_scaled_sleep", self.slept_s.append)

    def run(self, given: Any, name: str = "execution-1") -> Any:
        """The output of an execution. Raises its error, with `error` and `cause`, if it fails."""
        context = {"Execution": {"Name": name}}
        return stepfunctions._run_sub_machine(self.states, self.start, given, {"events": []}, context)


def ending(machine: Machine, given: Any) -> tuple[str, str]:
    """(error, cause) of an execution that fails."""
    with pytest.raises(stepfunctions._ExecutionError) as raised:
        machine.run(given)
    return raised.value.error, raised.value.cause
