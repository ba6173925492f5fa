import json
import re

import pytest

from contract.containers import ServeSettings
from contract.limits import CONTAINER_TIMEOUT_S
from tests.stacks.conftest import ARTIFACTS, Assembly, flat


def variant(assembly: Assembly) -> dict[str, object]:
    (found,) = assembly.serving.the("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    return dict(found)


def test_a_gpu_variant_names_its_driver_and_a_cpu_variant_has_none(dev: Assembly, prod: Assembly) -> None:
    assert variant(prod)["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert "InferenceAmiVersion" not in variant(dev)


def test_the_server_expects_a_gpu_where_it_gets_one(dev: Assembly, prod: Assembly) -> None:
    for assembly, has_gpu in ((dev, False), (prod, True)):
        environment = assembly.serving.the("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
        assert ServeSettings.from_env(environment).expect_gpu is has_gpu


def test_the_server_computes_and_queues_as_the_stage_says(tuned: Assembly) -> None:
    told = ServeSettings.from_env(tuned.serving.the("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"])
    assert (told.exact, told.precision, told.queue_budget_ms) == (True, "fp32", 250)


def test_every_change_of_the_model_makes_new_names_but_the_endpoints(assembly: Assembly) -> None:
    assert "ModelName" not in assembly.serving.the("AWS::SageMaker::Model")
    assert "EndpointConfigName" not in assembly.serving.the("AWS::SageMaker::EndpointConfig")
    assert flat(variant(assembly)["ModelName"]) == f"${{wordsight{assembly.stage}model.ModelName}}"
    endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
    assert flat(endpoint["EndpointConfigName"]) == f"${{wordsight{assembly.stage}config.EndpointConfigName}}"
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", endpoint["EndpointName"])


def test_the_variants_name_never_changes(assembly: Assembly) -> None:
    assert variant(assembly)["VariantName"] == "AllTraffic"


def test_the_container_is_cut_off_from_the_network(assembly: Assembly) -> None:
    assert assembly.serving.the("AWS::SageMaker::Model")["EnableNetworkIsolation"] is True


def test_a_model_waits_for_the_permissions_it_is_checked_against(assembly: Assembly) -> None:
    (model,) = assembly.serving.of_type("AWS::SageMaker::Model").values()
    (policy,) = (id for id in assembly.serving.of_type("AWS::IAM::Policy") if id.startswith("ExecutionRole"))
    assert policy in model["DependsOn"]


def test_without_a_model_uri_the_weights_in_the_image_are_served(assembly: Assembly) -> None:
    parameter = assembly.serving.body["Parameters"]["ModelUri"]
    assert parameter["Default"] == "s3://none/"
    container = assembly.serving.the("AWS::SageMaker::Model")["PrimaryContainer"]
    condition, source, otherwise = container["ModelDataSource"]["Fn::If"]
    assert otherwise == {"Ref": "AWS::NoValue"}
    assert source["S3DataSource"] == {
        "S3Uri": {"Ref": "ModelUri"},
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert assembly.serving.body["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "ModelUri"}, "s3://none/"]}]
    }


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://none/", True),
        ("s3://wordsight-artifacts/models/attempt-1/output/model/", True),
        ("s3://wordsight-artifacts/models/attempt-1/output/model.tar.gz", False),
        ("s3://wordsight-artifacts/models/attempt-1", False),
        ("https://example.com/", False),
        ("", False),
    ],
)
def test_a_model_uri_is_a_prefix(dev: Assembly, uri: str, allowed: bool) -> None:
    pattern = dev.serving.body["Parameters"]["ModelUri"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, uri)) is allowed


def test_the_server_has_ten_minutes_to_load_and_to_be_healthy(assembly: Assembly) -> None:
    assert variant(assembly)["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert variant(assembly)["ModelDataDownloadTimeoutInSeconds"] == 600


def test_metrics_that_cost_are_off_and_said_so(assembly: Assembly) -> None:
    config = assembly.serving.the("AWS::SageMaker::EndpointConfig")
    assert config["MetricsConfig"] == {"EnableDetailedObservability": False}


def test_requests_are_not_recorded_and_no_disk_names_a_key(assembly: Assembly) -> None:
    config = assembly.serving.the("AWS::SageMaker::EndpointConfig")
    assert not {"DataCaptureConfig", "KmsKeyId"} & config.keys()


def test_whoever_updates_the_stack_need_not_read_parameters_of_the_account(dev: Assembly) -> None:
    assert set(dev.serving.body["Parameters"]) == {"ModelUri", "Paused"}
    assert "Rules" not in dev.serving.body
    for template in (dev.data, dev.training, dev.api):  # these stop a deployment that is not bootstrapped
        assert "CheckBootstrapVersion" in template.body["Rules"]
    assets = json.loads((dev.directory / "manifest.json").read_text())["artifacts"]["WordsightServing-dev.assets"]
    assert assets["properties"]["requiresBootstrapStackVersion"] >= 6


def test_the_endpoints_logs_are_kept_as_long_as_the_stage_says(dev: Assembly, prod: Assembly) -> None:
    for assembly, days in ((dev, 14), (prod, 90)):
        ((id, retention),) = assembly.serving.of_type("Custom::LogRetention").items()
        endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
        assert retention["Properties"]["LogGroupName"] == f"/aws/sagemaker/Endpoints/{endpoint['EndpointName']}"
        assert retention["Properties"]["RetentionInDays"] == days
        # a first deployment that fails takes the stack with it, but not what the container has said
        assert retention["Properties"].get("RemovalPolicy", "retain") == "retain"
        (resource,) = assembly.serving.of_type("AWS::SageMaker::Endpoint").values()
        assert id in resource["DependsOn"]


def test_the_endpoint_reads_models_its_alarms_and_one_repository_and_logs_to_one_group(dev: Assembly) -> None:
    logs = (
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/sagemaker/Endpoints/wordsight-dev"
    )
    images = (
        "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/"
        "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}"
    )
    granted = {
        action: (set(resources), condition)
        for actions, resources, condition in dev.serving.statements("ExecutionRole")
        for action in actions
    }
    assert granted == {
        "s3:GetObject": ({f"{ARTIFACTS}/models/*"}, None),
        "s3:ListBucket": ({ARTIFACTS}, {"StringLike": {"s3:prefix": ["models/*"]}}),
        **{
            f"ecr:{name}": ({images}, None)
            for name in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        },
        "ecr:GetAuthorizationToken": ({"*"}, None),
        **{f"logs:{name}": ({f"{logs}:log-stream:*"}, None) for name in ("CreateLogStream", "PutLogEvents")},
        **{f"logs:{name}": ({logs, f"{logs}:log-stream:"}, None) for name in ("CreateLogGroup", "DescribeLogStreams")},
        "cloudwatch:DescribeAlarms": ({f"${{{id}.Arn}}" for id in dev.serving.of_type("AWS::CloudWatch::Alarm")}, None),
        "cloudwatch:PutMetricData": (
            {"*"},
            {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
        ),
    }


def test_the_fallback_driver_can_be_chosen(tuned: Assembly) -> None:
    assert variant(tuned)["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-3-1"


def test_an_update_is_rolled_back_by_the_endpoints_own_alarms(assembly: Assembly) -> None:
    endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
    named = [flat(each["AlarmName"]) for each in endpoint["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]]
    alarms = assembly.serving.of_type("AWS::CloudWatch::Alarm")
    assert set(named) == {f"${{{id}}}" for id in alarms}
    for alarm in alarms.values():
        assert alarm["Properties"]["Dimensions"] == [
            {"Name": "EndpointName", "Value": endpoint["EndpointName"]},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ]


def test_latency_is_measured_in_microseconds_below_the_containers_timeout(dev: Assembly) -> None:
    alarm = dev.serving.the("AWS::CloudWatch::Alarm", "SlowAnswers")
    assert (alarm["MetricName"], alarm["ExtendedStatistic"]) == ("ModelLatency", "p99")
    assert 1_000_000 < alarm["Threshold"] < CONTAINER_TIMEOUT_S * 1_000_000


def test_server_faults_are_counted(dev: Assembly) -> None:
    alarm = dev.serving.the("AWS::CloudWatch::Alarm", "ServerFaults")
    assert (alarm["MetricName"], alarm["Statistic"]) == ("Invocation5XXErrors", "Sum")


def test_one_slow_request_rolls_nothing_back_and_the_watch_is_long_enough_for_two_slow_minutes(dev: Assembly) -> None:
    alarm = dev.serving.the("AWS::CloudWatch::Alarm", "SlowAnswers")
    assert alarm["EvaluationPeriods"] == 2
    assert "DatapointsToAlarm" not in alarm  # both
    policy = dev.serving.the("AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    watched_s = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
    assert watched_s > (alarm["EvaluationPeriods"] + 1) * alarm["Period"]


def test_no_traffic_is_no_fault(assembly: Assembly) -> None:
    alarms = assembly.serving.of_type("AWS::CloudWatch::Alarm").values()
    assert {each["Properties"]["TreatMissingData"] for each in alarms} == {"notBreaching"}


def test_one_instance_is_switched_at_once_and_of_several_one_goes_first(dev: Assembly, prod: Assembly) -> None:
    def routing(assembly: Assembly) -> dict[str, object]:
        policy = assembly.serving.the("AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
        return dict(policy["TrafficRoutingConfiguration"])

    assert routing(dev) == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    assert routing(prod) == {
        "Type": "CANARY",
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
        "WaitIntervalInSeconds": 300,
    }


def test_an_update_has_time_to_start_to_be_watched_and_to_end(assembly: Assembly) -> None:
    policy = assembly.serving.the("AWS::SageMaker::Endpoint")["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    (variant,) = assembly.serving.the("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    needed_s = (
        variant["ModelDataDownloadTimeoutInSeconds"]
        + variant["ContainerStartupHealthCheckTimeoutInSeconds"]
        + policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
        + policy["TerminationWaitInSeconds"]
    )
    assert needed_s < policy["MaximumExecutionTimeoutInSeconds"] <= 28_800


def test_the_longest_startup_still_fits_an_update(tuned: Assembly) -> None:
    assert variant(tuned)["ContainerStartupHealthCheckTimeoutInSeconds"] == 3600
    test_an_update_has_time_to_start_to_be_watched_and_to_end(tuned)


def test_autoscaling_is_off_unless_asked_for(dev: Assembly) -> None:
    assert not dev.serving.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    assert "RetainAllVariantProperties" not in dev.serving.the("AWS::SageMaker::Endpoint")


def test_autoscaling_follows_requests_in_flight(prod: Assembly) -> None:
    target = prod.serving.the("AWS::ApplicationAutoScaling::ScalableTarget")
    assert target["ResourceId"] == "endpoint/wordsight-prod/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)
    assert "RoleARN" not in target
    tracking = prod.serving.the("AWS::ApplicationAutoScaling::ScalingPolicy")
    specification = tracking["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    assert specification == {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}


def test_autoscaling_waits_for_the_endpoint_and_survives_its_updates(prod: Assembly) -> None:
    (target,) = prod.serving.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
    assert target["DependsOn"] == ["Endpoint"]
    assert prod.serving.the("AWS::SageMaker::Endpoint")["RetainAllVariantProperties"] is True


def test_a_paused_stack_has_no_endpoint_and_nothing_that_needs_one(assembly: Assembly) -> None:
    parameter = assembly.serving.body["Parameters"]["Paused"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("no", ["yes", "no"])
    conditional = {
        each["Type"]: each["Condition"] for each in assembly.serving.body["Resources"].values() if each.get("Condition")
    }
    scaling = {f"AWS::ApplicationAutoScaling::{kind}" for kind in ("ScalableTarget", "ScalingPolicy")}
    wanted = {"AWS::SageMaker::Endpoint"} | (scaling if assembly.stage == "prod" else set())
    assert conditional == dict.fromkeys(wanted, "IsNotPaused")
    assert assembly.serving.body["Conditions"]["IsNotPaused"] == {"Fn::Equals": [{"Ref": "Paused"}, "no"]}
    left = {each["Type"] for each in assembly.serving.body["Resources"].values()} - wanted
    assert {"AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig"} <= left


def test_what_stays_refers_to_nothing_that_goes(assembly: Assembly) -> None:
    resources = assembly.serving.body["Resources"]
    going = [name for name, each in resources.items() if each.get("Condition")]
    for name, each in resources.items():
        if name not in going:
            assert not [gone for gone in going if f"'{gone}'" in str(each)], name
    assert not [gone for gone in going if f"'{gone}'" in str(assembly.serving.body["Outputs"])]
