"""Whoever asks the model is told its name and may ask it, whichever runs it."""

import pytest

from tests.stacks.conftest import ACCOUNT, ENDPOINT, Assembly, flat

FUNCTION = ACCOUNT % "lambda" + "function:wordsight-dev"


def askers(assembly: Assembly, action: str, arn: str) -> set[str]:
    """The roles that may do it to the stage's model."""
    return {
        role
        for template in assembly.templates.values()
        for role in template.of_type("AWS::IAM::Role")
        for actions, resources, _ in template.statements(role)
        if action in actions and arn in resources
    }


@pytest.mark.parametrize(
    ("of_endpoint", "of_function"),
    [
        ("sagemaker:InvokeEndpoint", "lambda:InvokeFunction"),
        ("sagemaker:DescribeEndpoint", "lambda:GetFunctionConfiguration"),
    ],
)
def test_the_same_roles_may_ask_the_function_that_may_ask_an_endpoint(
    dev: Assembly, by_function: Assembly, of_endpoint: str, of_function: str
) -> None:
    there = {each for each in askers(dev, of_endpoint, ENDPOINT) if not each.startswith("RolloutUpdateRole")}
    assert askers(by_function, of_function, FUNCTION) == there and there
    assert not askers(by_function, of_endpoint, ENDPOINT) | askers(dev, of_function, FUNCTION)


def test_functions_tell_by_the_name_what_it_is(dev: Assembly, by_function: Assembly) -> None:
    for assembly, name in ((dev, "wordsight-dev"), (by_function, FUNCTION)):
        told = [
            variables["ENDPOINT_NAME"]
            for _, resource in assembly.resources
            if resource["Type"] == "AWS::Lambda::Function"
            and "ENDPOINT_NAME" in (variables := resource["Properties"].get("Environment", {}).get("Variables", {}))
        ]
        assert len(told) == 7
        assert {flat(each) for each in told} == {name}
