"""cdk-nag's AwsSolutions rules. A finding that stands is acknowledged beside what it is about, with the reason.

    npx cdk synth --quiet -c nag=true

Off by default, so that a rule of a new release never stops a deployment; the tests switch it on.
"""

import json
from typing import Any

from aws_cdk import Acknowledgment, App, Stack, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from stacks.permissions import Role


def acknowledge(construct: IConstruct, reason: str, *findings: str) -> None:
    """Let `findings` at or below `construct` stand: rules such as S1, or what `wildcard` and `managed_policy` spell."""
    ids = (f"AwsSolutions-{finding}" for finding in findings)
    Validations.of(construct).acknowledge(*(Acknowledgment(id=id, reason=reason) for id in ids))


def wildcard(scope: IConstruct, arn: str) -> str:
    """What the rules find in a policy of the scope's stack that grants `arn`, which has an asterisk."""
    return f"IAM5[Resource::{_flat(Stack.of(scope).resolve(arn))}]"


def managed_policy(name: str) -> str:
    """What the rules find in a role with one of AWS's policies for services."""
    return f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/{name}]"


def check_with_cdk_nag(app: App) -> None:
    """Run the rules when `app` is synthesized; a finding that is not acknowledged fails synth."""
    Validations.of(app).add_plugins(_Checks(app))


class _Checks(AwsSolutionsChecks):  # type: ignore[misc]  # its types are not followed, see pyproject.toml
    """The rules, which see every role's wildcards acknowledged."""

    def __init__(self, app: App) -> None:
        super().__init__(app, verbose=True)
        self._app = app

    def validate(self, context: Any) -> Any:
        """Acknowledge and check. Only now does a reference to another stack have the form that the rules find."""
        for construct in self._app.node.find_all():
            if isinstance(construct, Role):
                for arn, reason in construct.wildcards.items():
                    acknowledge(construct, reason, wildcard(construct, arn))
        return super().validate(context)


def _flat(value: Any) -> str:
    """A template's value as cdk-nag spells it in a finding's name."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_flat, parts))
        case {"Fn::GetAtt": [id, attribute]}:
            return f"<{id}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return json.dumps(value, separators=(",", ":"))
