from typing import Any

import pytest

from contract.models import NO_MODEL_URI
from contract.problems import Conflict, ServiceUnavailable
from lambdas.aws.serving_stack import ServingStack
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation, client_error

NEW_URI = "s3://wordsight-data/models/new/"
ROLE_ARN = "arn:aws:iam::123456789012:role/update"


@pytest.fixture
def cloudformation() -> CloudFormation:
    return CloudFormation()


@pytest.fixture
def stack(cloudformation: CloudFormation) -> ServingStack:
    return ServingStack(SERVING_STACK, lambda service: cloudformation)


def test_it_tells_what_is_live_and_whether_that_is_being_changed(
    stack: ServingStack, cloudformation: CloudFormation
) -> None:
    assert stack.state().model_uri == NO_MODEL_URI and not stack.state().changing
    assert stack.update(ROLE_ARN, "token", ModelUri=NEW_URI) is True
    assert stack.state().changing


def test_what_is_live_already_is_not_deployed_again(stack: ServingStack, cloudformation: CloudFormation) -> None:
    assert stack.update(ROLE_ARN, "token", ModelUri=NO_MODEL_URI) is False and cloudformation.updates == []


def test_a_stack_that_is_not_there_is_a_conflict_in_cloudformations_words(cloudformation: CloudFormation) -> None:
    def absent(**_: Any) -> Any:
        raise client_error("DescribeStacks", "ValidationError", "Stack with id x does not exist")

    cloudformation.describe_stacks = absent  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="CloudFormation says of the stack x: Stack with id x does not exist"):
        ServingStack("x", lambda service: cloudformation).state()


def test_throttling_is_over_in_a_moment(stack: ServingStack, cloudformation: CloudFormation) -> None:
    def throttled(**_: Any) -> Any:
        raise client_error("UpdateStack", "Throttling", "Rate exceeded")

    cloudformation.update_stack = throttled  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="CloudFormation did not answer"):
        stack.update(ROLE_ARN, "token", ModelUri=NEW_URI)


def test_the_first_failure_of_the_last_update_is_its_reason(
    stack: ServingStack, cloudformation: CloudFormation
) -> None:
    cloudformation.broken[NEW_URI] = "no health"
    stack.update(ROLE_ARN, "token", ModelUri=NEW_URI)
    while stack.state().changing:
        pass
    assert stack.first_failure() == "Endpoint: no health"


def test_one_parameter_is_changed_and_others_stay(stack: ServingStack, cloudformation: CloudFormation) -> None:
    assert not stack.state().paused
    assert stack.update(ROLE_ARN, "token", Paused="yes") is True
    assert cloudformation.updates[0]["Parameters"] == [
        {"ParameterKey": "Paused", "ParameterValue": "yes"},
        {"ParameterKey": "ModelUri", "UsePreviousValue": True},
        {"ParameterKey": "Other", "UsePreviousValue": True},
    ]
    while stack.state().changing:
        pass
    assert stack.state().paused and stack.state().model_uri == NO_MODEL_URI
    assert stack.state().changed == cloudformation.changed


def test_a_stack_of_an_earlier_release_is_not_paused(cloudformation: CloudFormation) -> None:
    described = cloudformation.describe_stacks(StackName=SERVING_STACK)
    stack = described["Stacks"][0]
    stack["Parameters"] = [each for each in stack["Parameters"] if each["ParameterKey"] != "Paused"]
    cloudformation.describe_stacks = lambda **_: described  # type: ignore[method-assign]
    assert not ServingStack(SERVING_STACK, lambda service: cloudformation).state().paused
