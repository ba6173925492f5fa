import pytest

from contract.limits import CONTAINER_TIMEOUT_S
from tests.stacks.conftest import Assembly, Synthesize, flat


@pytest.fixture(params=["dev", "prod"])
def assembly(request: pytest.FixtureRequest) -> Assembly:
    found: Assembly = request.getfixturevalue(request.param)
    return found


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


def test_the_longest_startup_still_fits_an_update(synthesize: Synthesize) -> None:
    test_an_update_has_time_to_start_to_be_watched_and_to_end(synthesize(startup_timeout_s="3600"))


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
