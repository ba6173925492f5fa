"""The policies of synthesized stacks with every reference resolved, and the calls that deployed roles make."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ministack.core import iam_evaluator

from local.iam import OURS
from tests.stacks.conftest import STACKS, Assembly, Template

CALLS = Path(__file__).with_name("calls.jsonl")

REGION, ACCOUNT = "us-east-1", "000000000000"
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
}
"""Of resources that policies name; {} is the resource's own name."""


class Call(NamedTuple):
    """What a role, such as `Api.ClassifyFunctionRole3F53D153`, has called. `context`: condition keys and values."""

    role: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    @property
    def record(self) -> list[Any]:
        return [self.role, self.action, self.resource, *([dict(self.context)] if self.context else [])]


def load_calls(recording: Path = CALLS) -> set[Call]:
    records = [json.loads(line) for line in recording.read_text().splitlines()]
    return {Call(*each[:3], tuple(each[3].items()) if len(each) > 3 else ()) for each in records}


@dataclass(frozen=True)
class Statement:
    """One statement of a role's policies, as the evaluator reads it."""

    role: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: str
    parsed: Any

    def holding(self, action: str, resource: str) -> "Statement":
        """The same with this action on this resource alone."""
        parsed = replace(self.parsed, actions=[action], resources=[resource])
        return replace(self, actions=(action,), resources=(resource,), parsed=parsed)

    def __str__(self) -> str:
        return f"{self.role}: {', '.join(self.actions)} on {', '.join(self.resources)} {self.conditions}".strip()


def statements(assembly: Assembly) -> Iterator[Statement]:
    """Every statement of every role of the app, but for those of CDK's own functions."""
    for part in STACKS:
        template = assembly.templates[part]
        for policy in template.of_type("AWS::IAM::Policy").values():
            document = _resolved(assembly, part, policy["Properties"]["PolicyDocument"])
            for parsed in iam_evaluator.parse_policy_document(document):
                conditions = json.dumps(parsed.conditions) if parsed.conditions else ""
                for role in (each["Ref"] for each in policy["Properties"]["Roles"]):
                    if OURS.match(f"Wordsight{part}-{assembly.stage}-{role}"):
                        granted = tuple(parsed.actions), tuple(parsed.resources)
                        yield Statement(f"{part}.{role}", *granted, conditions, parsed)


def allows(statements: list[Statement], call: Call) -> bool:
    """Whether the role's statements, and these alone, let it make the call."""
    asked = iam_evaluator.EvalContext(
        *(f"arn:aws:sts::{ACCOUNT}:assumed-role/{call.role}/session", "AssumedRole", ACCOUNT),
        *(call.action, call.resource, REGION),
        secure_transport=True,
        service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in call.context}},
    )
    return bool(iam_evaluator.evaluate(asked, [[each.parsed for each in statements]]).decision == "Allow")


def _resolved(assembly: Assembly, part: str, value: Any) -> Any:
    """A template's value, with `physical` names for those that CloudFormation makes up."""

    def resolve(value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return PSEUDO.get(name) or _reference(assembly.templates[part], part, name)
            case {"Fn::GetAtt": [id, "Arn"]}:
                return _arn(assembly.templates[part], part, id)
            case {"Fn::GetAtt": [id, "Name"]}:
                return physical(part, id)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(resolve(each) for each in parts)
            case {"Fn::Select": [index, {"Fn::Split": [separator, text]}]}:
                return resolve(text).split(separator)[int(index)]
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: PSEUDO[found[1]], text)
            case {"Fn::GetStackOutput": {"StackName": stack, "OutputName": output}}:
                (other,) = (each for each in STACKS if stack == f"Wordsight{each}-{assembly.stage}")
                return _resolved(assembly, other, assembly.templates[other].body["Outputs"][output]["Value"])
            case str():
                return without_stage(value, assembly.stage)
            case list():
                return [resolve(each) for each in value]
            case dict():
                return {key: resolve(each) for key, each in value.items()}
        return value

    return resolve(value)


def without_stage(text: str, stage: str) -> str:
    """The text with <stage> where names have the stage's."""
    text = re.sub(rf"(Wordsight[A-Z][a-z]+)-{stage}\b", r"\1-<stage>", text)
    return re.sub(rf"(wordsight-?){stage}(?=model|config|\b)", r"\1<stage>", text)


def physical(part: str, id: str) -> str:
    """What stands for the name that CloudFormation makes up for a resource."""
    return f"Wordsight{part}-<stage>-{id}-<…>"


def _reference(template: Template, part: str, id: str) -> str:
    """What Ref gives: a state machine's is its ARN, that of others their name."""
    is_machine = template.body["Resources"][id]["Type"] == "AWS::StepFunctions::StateMachine"
    return _arn(template, part, id) if is_machine else physical(part, id)


def _arn(template: Template, part: str, id: str) -> str:
    return ARNS[template.body["Resources"][id]["Type"]].format(physical(part, id))


def grants(statements: list[Statement]) -> Iterator[Statement]:
    """Each action on each resource that is granted, as a statement of its own."""
    for each in statements:
        for action in each.actions:
            for resource in each.resources:
                yield each.holding(action, resource)


KNOW_NO_RESOURCES = {
    *("ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "sagemaker:ListTags"),
    *("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData"),
    *(f"application-autoscaling:Describe{what}" for what in ("ScalableTargets", "ScalingPolicies", "ScheduledActions")),
    *("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
}
"""Actions whose resource can only be an asterisk: https://docs.aws.amazon.com/service-authorization/latest/reference"""


_NARROW = re.compile(r"[^*]+|[^*]*<[^*]*\*|[^*]+/\*wordsight<stage>[^*]+\*")


def too_wide(statement: Statement) -> bool:
    """Whether it grants more than single actions on what is this stage's own, by a name or a beginning of names."""
    if any("*" in action or "?" in action for action in statement.actions) or not statement.actions:
        return True
    if any(resource == "*" for resource in statement.resources):
        return not KNOW_NO_RESOURCES.issuperset(statement.actions)
    known = {"arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/*"}  # the only one there is
    return not all(_NARROW.fullmatch(resource) for resource in {*statement.resources} - known)
