"""Walks every way through a state machine's definition, with examples in the place of what its tasks answer."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from contract.problems import ProblemError

RAISED = json.dumps({"errorMessage": "it is broken", "errorType": "BadGateway"})
DIED = "it died"
"""Causes of a task's failure: of a function that raised, and of one that Lambda ended."""

# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-error-representation
# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
DOCUMENTED_ERRORS = {
    *(f"States.{name}" for name in ("ALL", "TaskFailed", "Timeout", "HeartbeatTimeout", "Permissions", "Runtime")),
    *(f"Lambda.{name}Exception" for name in ("ClientExecutionTimeout", "Service", "AWSLambda", "SdkClient")),
    # What Invoke answers itself: https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-images.html
    *("Lambda.TooManyRequestsException", "Lambda.CodeArtifactUserPendingException"),
}


class Unknown(Exception):
    """A path leads to nothing that was ever put there."""


@dataclass(frozen=True)
class Task:
    """What tasks of one resource are sent, examples of what they answer to that, and of their failures' causes."""

    event: TypeAdapter[Any]
    answers: Callable[[Any], Sequence[Any]]
    causes: Sequence[str] = (RAISED, DIED)


def kinds_of(problem: type[ProblemError]) -> set[type[ProblemError]]:
    """A problem's class with all that are special cases of it."""
    return {problem}.union(*map(kinds_of, problem.__subclasses__()))


@dataclass
class Walk:
    """`tasks` by the end of their resource. `faults`: what was found; `visited`: the names of states."""

    tasks: Mapping[str, Task]
    faults: list[str] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)

    def run(self, definition: Mapping[str, Any], given: Any, item: Any = None) -> None:
        """Go all ways from the first state, with the input `given`; `item`: of the map that this is a part of."""
        context = {"Execution": {"Name": "execution-1"}, "Map": {"Item": {"Value": item}}}
        ahead, seen = [(definition["StartAt"], given)], set()
        while ahead:
            name, data = ahead.pop()
            if (met := (name, json.dumps(data, sort_keys=True))) not in seen:
                seen.add(met)
                self.visited.add(name)
                try:
                    ahead += self._behind(name, definition["States"][name], data, context)
                except Unknown as fault:
                    self.faults.append(f"{name}: {fault}")

    def _behind(self, name: str, state: Mapping[str, Any], data: Any, context: Any) -> Iterator[tuple[str, Any]]:
        """The states that may follow, each with its input."""
        for error in (
            error for each in (*state.get("Retry", ()), *state.get("Catch", ())) for error in each["ErrorEquals"]
        ):
            if error not in DOCUMENTED_ERRORS | {problem.__name__ for problem in kinds_of(ProblemError)}:
                self.faults.append(f"{name}: nobody raises {error}")
        causes: Sequence[str] = ()
        results: Sequence[Any] = ()
        match state["Type"]:
            case "Task":
                results, causes = self._call(name, state, data, context)
            case "Map":
                for item in _selected(state["ItemsPath"], data, context):
                    part = {**context, "Map": {"Item": {"Value": item}}}
                    self.run(state["ItemProcessor"], _filled(state["ItemSelector"], data, part), item)
                results, causes = [None], [DIED]
            case "Pass":
                template = state.get("Parameters", state.get("Result"))
                results = [data if template is None else _filled(template, data, context)]
            case "Choice":
                choices = (each["Next"] for each in state["Choices"] if _holds(each, data, context))
                yield next(choices, state.get("Default")), data
            case "Wait":
                results = [data]
            case "Fail":
                for path in (state[each] for each in ("ErrorPath", "CausePath") if each in state):
                    _selected(path, data, context)
        for result in results:
            output = _selected(
                state.get("OutputPath", "$"), _placed(data, state.get("ResultPath", "$"), result), context
            )
            if "Next" in state:
                yield state["Next"], output
        for caught in state.get("Catch", ()):
            for cause in causes:
                yield caught["Next"], _placed(data, caught["ResultPath"], {"Error": "BadGateway", "Cause": cause})

    def _call(
        self, name: str, state: Mapping[str, Any], data: Any, context: Any
    ) -> tuple[Sequence[Any], Sequence[str]]:
        (task,) = (task for ending, task in self.tasks.items() if state["Resource"].endswith(ending))
        sent = _filled(state["Parameters"], data, context)
        try:
            event = task.event.validate_python(sent)
        except ValidationError as error:
            wrong = error.errors(include_url=False)
            self.faults += [f"{name}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong]
            return [], task.causes
        return task.answers(event), task.causes


def examples(model: type[BaseModel]) -> list[dict[str, Any]]:
    """JSON of instances that differ in one member each: in every literal, in what may be null, in what is a flag."""
    members = {field.alias or name: _values(field.annotation) for name, field in model.model_fields.items()}
    first = {name: values[0] for name, values in members.items()}
    return [first, *({**first, name: value} for name, values in members.items() for value in values[1:])]


def _values(type_: Any) -> list[Any]:
    origin = get_origin(type_)
    if origin is Literal:
        return list(get_args(type_))
    if origin in (Union, UnionType):
        return [value for each in get_args(type_) for value in _values(each)]
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        return examples(type_)[:1]
    if origin is list:
        return [_values(get_args(type_)[0])[:1]]
    simple: dict[Any, list[Any]] = {
        str: ["text"],
        int: [1],
        float: [1.5],
        bool: [True, False],
        NoneType: [None],
        dict: [{}],
    }
    return simple[origin or type_]


def _filled(template: Any, data: Any, context: Any) -> Any:
    """The template's value: `name.$` becomes `name` with what its path selects."""
    if isinstance(template, list):
        return [_filled(each, data, context) for each in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): (_selected if name.endswith(".$") else _filled)(each, data, context)
        for name, each in template.items()
    }


def _selected(path: str, data: Any, context: Any) -> Any:
    """What a path or an intrinsic function gives. Raises Unknown."""
    if made := re.fullmatch(r"States\.StringToJson\((.*)\)", path):
        return json.loads(_selected(made[1], data, context))
    if made := re.fullmatch(r"States\.Format\('(.*)', (\$[^']*)\)", path):
        return made[1].replace("{}", "%s") % tuple(_selected(each, data, context) for each in made[2].split(", "))
    found = context if path.startswith("$$") else data
    for name, _, position in re.findall(r"\.(\w+)(\[(\d+)\])?", path):
        if not isinstance(found, dict) or name not in found:
            raise Unknown(f"nothing is at {path}")
        found = found[name]
        if position:
            if int(position) >= len(found):
                raise Unknown(f"nothing is at {path}")
            found = found[int(position)]
    return found


def _placed(data: Any, path: str | None, value: Any) -> Any:
    """The data with `value` at a ResultPath."""
    if path is None:
        return data
    return value if path == "$" else {**data, path.removeprefix("$."): value}


def _holds(rule: Mapping[str, Any], data: Any, context: Any) -> bool:
    if parts := rule.get("And") or rule.get("Or"):
        return (all if "And" in rule else any)(_holds(each, data, context) for each in parts)
    if "Not" in rule:
        return not _holds(rule["Not"], data, context)
    ((operator, expected),) = ((name, value) for name, value in rule.items() if name not in ("Variable", "Next"))
    if operator == "IsPresent":
        try:
            _selected(rule["Variable"], data, context)
        except Unknown:
            return not expected
        return bool(expected)
    found = _selected(rule["Variable"], data, context)
    match operator:
        case "IsString":
            return isinstance(found, str) is expected
        case "StringMatches":
            return fnmatchcase(found, expected.replace("[", "[[]"))
        case "StringEquals" | "BooleanEquals":
            return bool(found == expected)
    raise AssertionError(f"the walk does not know {operator}")
