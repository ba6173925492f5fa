"""Synthesized stacks, shared by the tests: a synth takes a second, and the library's start three."""

import functools
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from app import build
from stacks.config import StageConfig
from stacks.stage_files import from_context

REPOSITORY = Path(__file__).parents[2]

Resource = dict[str, Any]
STACKS = ("Data", "Training", "Serving", "Api", "Operations")


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
    """The five stacks of one configuration."""

    directory: Path
    stage: str

    @functools.cached_property
    def templates(self) -> dict[str, Template]:
        files = {name: self.directory / f"Wordsight{name}-{self.stage}.template.json" for name in STACKS}
        return {name: Template(json.loads(file.read_text())) for name, file in files.items()}

    @property
    def data(self) -> Template:
        return self.templates["Data"]

    @property
    def training(self) -> Template:
        return self.templates["Training"]

    @property
    def serving(self) -> Template:
        return self.templates["Serving"]

    @property
    def api(self) -> Template:
        return self.templates["Api"]

    @property
    def operations(self) -> Template:
        return self.templates["Operations"]

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


def granted(template: Template, function: str, bound: Collection[str] = ()) -> dict[str, set[str]]:
    """The resources of every action, but for what each function may do: write its own log, and be traced.

    `bound`: actions that are granted under a condition, which are left out.
    """
    (logs,) = (id for id in template.of_type("AWS::Logs::LogGroup") if id.startswith(f"{function}FunctionLogs"))
    found: dict[str, set[str]] = {}
    for actions, resources, condition in template.statements(f"{function}FunctionRole"):
        if condition is not None:
            assert set(actions) <= set(bound)
            continue
        for action in actions:
            found.setdefault(action, set()).update(resources)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert found.pop(action) == {f"${{{logs}.Arn}}"}
    for action in ("xray:PutTelemetryRecords", "xray:PutTraceSegments"):
        assert found.pop(action) == {"*"}
    return found


DATA = "${WordsightData-dev.PublishOutputFnGetAttData666C94C7Arn14D6E0D7}"
ARTIFACTS = "${WordsightData-dev.PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE}"
"""The buckets' ARNs, as the other stacks of dev refer to them."""
TEACHER = "${WordsightTraining-dev.PublishOutputFnGetAttTeachFunction7BB2AFAAArn77648729}"
"""The same of the function that teaches."""
ACCOUNT = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:"
ENDPOINT = ACCOUNT % "sagemaker" + "endpoint/wordsight-dev"
SERVING_STACK = ACCOUNT % "cloudformation" + "stack/WordsightServing-dev/*"

Synthesize = Callable[..., Assembly]

DEV = {"stage": "dev"}
PROD = {
    "stage": "prod",
    "autoscaling": "true",
    "spot": "true",
    "cors_origins": "https://one.example,https://two.example",
    "endpoint_instance_count": "2",
    "office_hours": "Mon-Fri 07:00-19:30 Europe/Berlin",
    "pause_after_idle_min": "60",
    "monthly_budget_usd": "300",
}
"""With everything that a flag switches on."""
TUNED = {
    "training_instance_count": "4",
    "retain_data": "true",
    "throttling_rate_rps": "7",
    "throttling_burst": "9",
    "startup_timeout_s": "3600",
    "endpoint_instance_type": "ml.g5.xlarge",
    "inference_ami": "al2-ami-sagemaker-inference-gpu-3-1",
    "serve_image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/cuda-12:7",
    "exact": "true",
    "precision": "fp32",
    "queue_budget_ms": "250",
    "api_logging": "existing",
    "detailed_metrics": "true",
}
"""dev with knobs that do not touch each other, so that one synth shows what each does."""
BY_FUNCTION = {
    "stage": "dev",
    "serving": "lambda",
    "function_memory_mb": "3538",
    "function_concurrency": "7",
    "exact": "true",
    "queue_budget_ms": "250",
}
"""dev without instances, with every knob that this has."""
ADOPTING = {"stage": "prod", "data_bucket": "our-data", "artifacts_bucket": "our-models", "api_logging": "off"}
"""prod made anew around the buckets that were kept, without a record of requests."""


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Build the app with `context` as `-c key=value` would, without credentials, Docker or network.

    What the library's own rules or cdk-nag find, raises. The same configuration is synthesized once.
    """
    flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    assemblies: dict[StageConfig, Assembly] = {}

    def run(**context: str) -> Assembly:
        config = from_context(context)
        if config not in assemblies:
            app = App(context={**flags, **context, "nag": "true"}, outdir=str(tmp_path_factory.mktemp("assembly")))
            build(app)
            app.synth()
            assemblies[config] = Assembly(Path(app.outdir), config.stage)
        return assemblies[config]

    return run


@pytest.fixture(scope="session")
def dev(synthesize: Synthesize) -> Assembly:
    return synthesize(**DEV)


@pytest.fixture(scope="session")
def prod(synthesize: Synthesize) -> Assembly:
    return synthesize(**PROD)


@pytest.fixture(scope="session")
def tuned(synthesize: Synthesize) -> Assembly:
    return synthesize(**TUNED)


@pytest.fixture(scope="session")
def by_function(synthesize: Synthesize) -> Assembly:
    return synthesize(**BY_FUNCTION)


@pytest.fixture(scope="session")
def adopting(synthesize: Synthesize) -> Assembly:
    return synthesize(**ADOPTING)


@pytest.fixture(params=["dev", "prod"])
def assembly(request: pytest.FixtureRequest) -> Assembly:
    """Each of them, for what holds for both."""
    found: Assembly = request.getfixturevalue(request.param)
    return found
