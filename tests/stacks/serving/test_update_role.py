"""What CloudFormation may do while a promotion or a pause updates the serving stack."""

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from stacks.config import StageConfig
from stacks.serving.function import FUNCTION_ROLE_ID
from stacks.serving.update_role import EXECUTION_ROLE_ID, endpoint_config_id, model_id
from tests.stacks.conftest import ACCOUNT, Assembly

ROLE = "RolloutUpdateRole"
TYPES = ("Model", "EndpointConfig", "Endpoint")
LONGEST_STAGE = "a" * 16


def granted(assembly: Assembly) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for actions, resources, _ in assembly.training.statements(ROLE):
        for action in actions:
            found.setdefault(action, set()).update(resources)
    return found


def handlers(kind: str, service: str = "SageMaker") -> dict[str, Any]:
    """What the registry says of a type's handlers; the copy is cfn-lint's."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", f"AWS::{service}::{kind}").schema
    found: dict[str, Any] = schema["handlers"]
    return found


def may(assembly: Assembly, action: str, arn: str) -> bool:
    account = ACCOUNT.partition("%s")[0]
    assert arn.startswith(account)
    return any(fnmatchcase(arn, pattern) for pattern in granted(assembly).get(action, ()))


def permissions(kind: str, service: str = "SageMaker") -> set[str]:
    """Of all handlers but the one that lists."""
    found = handlers(kind, service)
    return {each for handler, described in found.items() if handler != "list" for each in described["permissions"]}


def test_it_may_do_what_cloudformations_handlers_do_for_a_model_and_its_endpoint_and_nothing_else(
    dev: Assembly,
) -> None:
    """Nothing is encrypted with a key of ours."""
    needed = {"cloudwatch:DescribeAlarms", "cloudformation:DescribeStacks"}
    assert granted(dev).keys() == needed.union(*map(permissions, TYPES)) - {"kms:DescribeKey"}


OF_OTHER_FUNCTIONS = {
    *("iam:PassRole", "lambda:GetLayerVersion", "lambda:GetCodeSigningConfig", "lambda:PublishVersion"),
    *("lambda:PassCapacityProvider", "lambda:AssociateRuntimeAlias"),
    *(f"lambda:{verb}FunctionCodeSigningConfig" for verb in ("Put", "Delete")),
    *(f"lambda:Put{what}Config" for what in ("RuntimeManagement", "FunctionRecursion", "FunctionScaling")),
}
"""What the handlers do for functions that have what ours has not: layers, signed code, versions and so on."""


def test_with_a_function_it_may_do_what_they_do_for_one_and_nothing_of_sagemakers(by_function: Assembly) -> None:
    documented = {each for each in permissions("Function", "Lambda") if each.startswith("lambda:")}
    needed = {"iam:PassRole", "cloudformation:DescribeStacks"}
    assert granted(by_function).keys() == documented - OF_OTHER_FUNCTIONS | needed
    ours = ACCOUNT % "lambda" + "function:wordsight-dev"
    assert {each for action, arns in granted(by_function).items() if "lambda:" in action for each in arns} == {ours}
    (passing,) = (each for each in by_function.training.statements(ROLE) if "iam:PassRole" in each[0])
    (role,) = by_function.serving.of_type("AWS::IAM::Role").keys()
    assert fnmatchcase(
        f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/WordsightServing-dev-{role}-1A2B", passing[1][0]
    )
    assert passing[2] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


NOT_OF_SAGEMAKER = {
    *(f"lambda:{verb}ProvisionedConcurrencyConfig" for verb in ("Get", "Put", "Delete")),
    *(f"application-autoscaling:{verb}ScheduledAction" for verb in ("Put", "Delete")),
    *("application-autoscaling:UntagResource", "iam:CreateServiceLinkedRole"),
}
"""What the handlers of scalable targets do for others, for schedules and tags, which ours have not, and what the
deployment that switched scaling on has done once."""


def test_with_autoscaling_also_what_they_do_for_a_target_and_its_policy(prod: Assembly, dev: Assembly) -> None:
    scaling = [permissions(kind, "ApplicationAutoScaling") for kind in ("ScalableTarget", "ScalingPolicy")]
    documented = {"sagemaker:UpdateEndpointWeightsAndCapacities"}  # see the role
    more = set().union(*scaling) - NOT_OF_SAGEMAKER | documented
    assert granted(prod).keys() == granted(dev).keys() | more
    for actions, resources, condition in prod.training.statements(ROLE):
        if any(action.startswith("application-autoscaling:Register") for action in actions):
            assert condition == {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
            assert [each.rpartition(":")[2] for each in resources] == ["scalable-target/*"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_names_that_cloudformation_makes_are_its_own_stages_however_they_are_written(
    request: pytest.FixtureRequest, stage: str
) -> None:
    assembly: Assembly = request.getfixturevalue(stage)
    (model,) = assembly.serving.of_type("AWS::SageMaker::Model")
    (config,) = assembly.serving.of_type("AWS::SageMaker::EndpointConfig")
    for id, kind, action in ((model, "model", "CreateModel"), (config, "endpoint-config", "CreateEndpointConfig")):
        arn = ACCOUNT % "sagemaker" + kind
        for name in (f"{id}-pR9dIu4ZjVhk", f"{id}-pr9diu4zjvhk", f"WordsightServing-{stage}-{id}-pR9dIu4ZjVhk"):
            assert may(assembly, f"sagemaker:{action}", f"{arn}/{name}")
        for other in ("dev2", "adev", "prod2", "test"):
            assert not may(assembly, f"sagemaker:{action}", f"{arn}/{id.replace(stage, other)}-pR9dIu4ZjVhk")
    for verb in ("CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint"):
        assert may(assembly, f"sagemaker:{verb}", ACCOUNT % "sagemaker" + f"endpoint/wordsight-{stage}")
        assert not may(assembly, f"sagemaker:{verb}", ACCOUNT % "sagemaker" + "endpoint/wordsight-other")
    assert may(assembly, "sagemaker:UpdateEndpoint", ACCOUNT % "sagemaker" + f"endpoint-config/{config}-pR9dIu4ZjVhk")


def test_it_passes_one_role_and_to_sagemaker_only(dev: Assembly) -> None:
    (role,) = dev.serving.of_type("AWS::IAM::Role").keys() & {EXECUTION_ROLE_ID}
    (passing,) = (each for each in dev.training.statements(ROLE) if "iam:PassRole" in each[0])
    actions, (resource,), condition = passing
    assert actions == ("iam:PassRole",)
    assert fnmatchcase(
        f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/WordsightServing-dev-{role}-1A2B", resource
    )
    assert condition == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_what_the_template_takes_from_other_stacks_may_be_looked_up(assembly: Assembly) -> None:
    referred = set(re.findall(r"'Fn::GetStackOutput': \{'StackName': '([^']+)'", str(assembly.serving.body)))
    assert referred == {f"WordsightData-{assembly.stage}"}
    assert granted(assembly)["cloudformation:DescribeStacks"] == {
        ACCOUNT % "cloudformation" + f"stack/{stack}/*" for stack in referred
    }


def test_no_name_is_so_long_that_cloudformation_would_cut_it() -> None:
    config, random = StageConfig(stage=LONGEST_STAGE), "-1A2B3C4D5E6F7"
    with pytest.raises(ValueError, match="stage is"):
        StageConfig(stage=LONGEST_STAGE + "a")
    assert all(len(f"{config.serving_stack_name}-{id}{random}") <= 64 for id in (EXECUTION_ROLE_ID, FUNCTION_ROLE_ID))
    assert len(config.name) <= 63
    assert all(len(id + random) <= 63 for id in (model_id(config), endpoint_config_id(config)))
