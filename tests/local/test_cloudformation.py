"""SageMaker's resource types and CloudFormation's repairs, over HTTP as the CDK CLI and the rollout meet them."""

import json
from typing import Any

import pytest
from botocore.client import ClientError, Config
from botocore.exceptions import WaiterError

from local.settings import LocalSettings
from tests.local.emulated import ROLE_OF_A_FUNCTION, deployed, serving, settle


def test_a_stack_with_an_endpoint_serves_updates_rolls_back_and_leaves_nothing(system: LocalSettings, aws: Any) -> None:
    sagemaker, runtime = aws("sagemaker"), aws("sagemaker-runtime")

    def colour() -> str:
        answer = runtime.invoke_endpoint(EndpointName="clip", Body=b"x")
        return str(json.load(answer["Body"])["environment"]["COLOUR"])

    with deployed(aws, "serving", serving(COLOUR="red")) as stacks:
        assert sagemaker.describe_endpoint(EndpointName="clip")["EndpointStatus"] == "InService"
        assert colour() == "red"

        stacks.update_stack(StackName="serving", TemplateBody=serving(COLOUR="green"))
        settle(stacks, "serving", "update")
        assert colour() == "green"

        stacks.update_stack(StackName="serving", TemplateBody=serving(COLOUR="blue", REFUSE_TO_START="1"))
        with pytest.raises(WaiterError):
            settle(stacks, "serving", "update")
        assert stacks.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert colour() == "green"
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="clip")
    assert list(system.programs.iterdir()) == []


def parametrized_serving() -> str:
    """The same with its colour as a parameter, and a role, as the serving stack has one."""
    template = json.loads(serving(COLOUR="red"))
    template["Parameters"] = {"Colour": {"Type": "String", "Default": "red"}}
    template["Resources"]["Model"]["Properties"]["PrimaryContainer"]["Environment"]["COLOUR"] = {"Ref": "Colour"}
    template["Resources"]["Role"] = ROLE_OF_A_FUNCTION
    return json.dumps(template)


def test_an_update_needs_the_stacks_capabilities_is_seen_under_way_and_waited_for_by_the_cdk_cli_alone(
    aws: Any,
) -> None:
    green = {"ParameterKey": "Colour", "ParameterValue": "green"}
    update = {"StackName": "serving", "UsePreviousTemplate": True, "Parameters": [green]}
    with deployed(aws, "serving", parametrized_serving()) as stacks:
        with pytest.raises(ClientError, match="Requires capabilities"):
            stacks.update_stack(**update)
        stacks.update_stack(**update, Capabilities=["CAPABILITY_IAM"])
        assert stacks.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_IN_PROGRESS"
        settle(stacks, "serving", "update")
        answer = aws("sagemaker-runtime").invoke_endpoint(EndpointName="clip", Body=b"x")
        assert json.load(answer["Body"])["environment"]["COLOUR"] == "green"

        green["ParameterValue"] = "blue"
        stacks.update_stack(**update, Capabilities=["CAPABILITY_IAM"])
        as_the_cdk_cli = aws("cloudformation", config=Config(user_agent_extra="aws-cdk"))
        assert as_the_cdk_cli.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"


def test_an_alarm_over_several_metrics_stands_in_its_stack_and_can_be_changed(aws: Any) -> None:
    def template(threshold: int) -> str:
        metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors"}
        stat = {"Metric": metric, "Stat": "Sum", "Period": 300}
        metrics = [
            {"Id": "sum", "Expression": "SUM([m0,m1])"},
            *({"Id": id, "MetricStat": stat, "ReturnData": False} for id in ("m0", "m1")),
        ]
        comparing = {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": threshold}
        common = {**comparing, "EvaluationPeriods": 1}
        resources = {
            "Sum": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**common, "AlarmName": "sum", "Metrics": metrics}},
            "One": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {**common, **metric, "AlarmName": "one", "Statistic": "Sum", "Period": 300},
            },
            "Budget": {"Type": "AWS::Budgets::Budget", "Properties": {"Budget": {"BudgetName": "wordsight-dev"}}},
        }
        return json.dumps({"Resources": resources, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Sum", "Arn"]}}}})

    cloudwatch = aws("cloudwatch")
    with deployed(aws, "alarms", template(1)) as stacks:
        stacks.update_stack(StackName="alarms", TemplateBody=template(2))
        settle(stacks, "alarms", "update")
        (output,) = stacks.describe_stacks(StackName="alarms")["Stacks"][0]["Outputs"]
        assert output["OutputValue"].endswith(":alarm:sum")
        (one,) = cloudwatch.describe_alarms(AlarmNames=["sum", "one"])["MetricAlarms"]
        assert (one["AlarmName"], one["Threshold"]) == ("one", 2)
    assert cloudwatch.describe_alarms(AlarmNames=["one"])["MetricAlarms"] == []


def test_a_bucket_keeps_the_tags_of_its_template(aws: Any) -> None:
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"Tags": [{"Key": "aws-cdk:auto-delete-objects", "Value": "true"}]},
    }
    with deployed(aws, "data", json.dumps({"Resources": {"Bucket": bucket}})) as stacks:
        name = stacks.describe_stack_resource(StackName="data", LogicalResourceId="Bucket")["StackResourceDetail"]
        tags = aws("s3").get_bucket_tagging(Bucket=name["PhysicalResourceId"])["TagSet"]
    assert {"Key": "aws-cdk:auto-delete-objects", "Value": "true"} in tags
