"""Synthesized stacks, shared by the tests: a synth takes a second, and the library's start three."""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from app import build

REPOSITORY = Path(__file__).parents[2]

Resource = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """One stack's template, with what tests ask of it."""

    body: dict[str, Any]

    def of_type(self, type: str) -> dict[str, Resource]:
        """Resources of `type` by logical id."""
        return {id: each for id, each in self.body["Resources"].items() if each["Type"] == type}

    def the(self, type: str, prefix: str = "") -> dict[str, Any]:
        """The properties of the one resource of `type` whose logical id starts with `prefix`."""
        (found,) = (each for id, each in self.of_type(type).items() if id.startswith(prefix))
        properties: dict[str, Any] = found["Properties"]
        return properties

    def statements(self, role: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], Any]]:
        """(actions, resources, condition) of every statement of the policies of roles whose id starts with `role`."""
        for policy in self.of_type("AWS::IAM::Policy").values():
            if not any(each["Ref"].startswith(role) for each in policy["Properties"]["Roles"]):
                continue
            for each in policy["Properties"]["PolicyDocument"]["Statement"]:
                assert each["Effect"] == "Allow"
                yield tuple(listed(each["Action"])), tuple(map(flat, listed(each["Resource"]))), each.get("Condition")

    @property
    def outputs(self) -> dict[str, str]:
        return {name: flat(each["Value"]) for name, each in self.body["Outputs"].items()}


@dataclass(frozen=True)
class Assembly:
    """The four stacks of one configuration."""

    directory: Path
    data: Template
    training: Template
    serving: Template
    api: Template

    @property
    def templates(self) -> dict[str, Template]:
        return {"data": self.data, "training": self.training, "serving": self.serving, "api": self.api}

    @property
    def resources(self) -> Iterator[tuple[str, Resource]]:
        for template in self.templates.values():
            yield from template.body["Resources"].items()


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def flat(value: Any) -> str:
    """A template's value as one line of text: references become ${…}, joins are joined."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [id, attribute]}:
            return f"${{{id}.{attribute}}}"
        case {"Fn::Sub": text}:
            return str(text)
        case {"Fn::GetStackOutput": {"StackName": stack, "OutputName": output}}:
            return f"${{{stack}.{output}}}"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(flat, parts))
        case _:
            return str(value)


Synthesize = Callable[..., Assembly]


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Build the app with `context` as `-c key=value` would, without credentials, Docker or network.

    What the library's own rules or cdk-nag find, raises.
    """

    @functools.cache
    def run(**context: str) -> Assembly:
        flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
        directory = tmp_path_factory.mktemp("assembly")
        app = App(context={**flags, **context}, outdir=str(directory))
        build(app)
        app.synth()
        stage = context.get("stage", "dev")
        stacks = {
            name.lower(): Template(json.loads((directory / f"Wordsight{name}-{stage}.template.json").read_text()))
            for name in ("Data", "Training", "Serving", "Api")
        }
        return Assembly(directory, **stacks)

    return run


@pytest.fixture(scope="session")
def dev(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="dev", nag="true")


@pytest.fixture(scope="session")
def prod(synthesize: Synthesize) -> Assembly:
    """With everything that a flag switches on."""
    return synthesize(
        stage="prod",
        nag="true",
        autoscaling="true",
        spot="true",
        cors_origins="https://one.example,https://two.example",
        endpoint_instance_count="2",
    )
