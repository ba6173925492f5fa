"""What keeps the endpoint well: alarms that roll an update back, blue/green traffic, instances by concurrency."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as applicationautoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from contract.limits import CONTAINER_TIMEOUT_S
from stacks.config import StageConfig

VARIANT_NAME = "AllTraffic"
"""Constant for ever: an update that renames a variant can't keep what autoscaling knows about it."""

MAX_SERVER_FAULTS_PER_MINUTE = 3
BAKE_TIME_S = 300
"""How long the alarms watch the new fleet before the old one may go: two minutes of data, and CloudWatch's delay."""
TERMINATION_WAIT_S = 300
DOWNLOAD_TIMEOUT_S = 600
PROVISIONING_S = 1800
"""How long SageMaker may look for an instance and pull the image before an update is given up."""
SCALE_IN_COOLDOWN_S = 300
SCALE_OUT_COOLDOWN_S = 60


def deployment_config(
    config: StageConfig, alarms: Sequence[cloudwatch.Alarm]
) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
    """Blue/green, rolled back by any of `alarms`; one instance goes first where there are several."""
    traffic = sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
        type="ALL_AT_ONCE", wait_interval_in_seconds=BAKE_TIME_S
    )
    if config.endpoint_instance_count > 1:
        traffic = sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type="CANARY",
            canary_size=sagemaker.CfnEndpoint.CapacitySizeProperty(type="INSTANCE_COUNT", value=1),
            wait_interval_in_seconds=BAKE_TIME_S,
        )
    return sagemaker.CfnEndpoint.DeploymentConfigProperty(
        auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
            alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
        ),
        blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
            traffic_routing_configuration=traffic,
            termination_wait_in_seconds=TERMINATION_WAIT_S,
            maximum_execution_timeout_in_seconds=(
                PROVISIONING_S + DOWNLOAD_TIMEOUT_S + config.startup_timeout_s + BAKE_TIME_S + TERMINATION_WAIT_S
            ),
        ),
    )


def rollback_alarms(scope: Construct, endpoint_name: str) -> list[cloudwatch.Alarm]:
    """What must not happen to an endpoint that was just updated: faults of the model, and answers that take long."""
    dimensions = {"EndpointName": endpoint_name, "VariantName": VARIANT_NAME}

    def alarm(
        id: str, metric_name: str, statistic: str, *, threshold: float, minutes: int, description: str
    ) -> cloudwatch.Alarm:
        metric = cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=metric_name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=Duration.minutes(1),
        )
        return cloudwatch.Alarm(
            scope,
            id,
            metric=metric,
            threshold=threshold,
            evaluation_periods=minutes,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )

    slow_us = CONTAINER_TIMEOUT_S / 2 * 1_000_000  # ModelLatency counts microseconds
    return [
        alarm(
            "ServerFaults",
            "Invocation5XXErrors",
            "Sum",
            threshold=MAX_SERVER_FAULTS_PER_MINUTE,
            minutes=1,
            description="The model answers with faults",
        ),
        alarm(
            "SlowAnswers",
            "ModelLatency",
            "p99",
            threshold=slow_us,
            # With little traffic the p99 of a minute is one request, and a new fleet's first one may be slow.
            minutes=2,
            description="The slowest answers take half of what callers wait for",
        ),
    ]


def autoscaling(scope: Construct, config: StageConfig, endpoint: sagemaker.CfnEndpoint) -> None:
    """Follow the requests in flight, which CloudWatch shows every ten seconds for this one metric.

    No role: Application Auto Scaling has its own for SageMaker.
    """
    target = applicationautoscaling.CfnScalableTarget(
        scope,
        "ScalableTarget",
        service_namespace="sagemaker",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        resource_id=f"endpoint/{config.name}/variant/{VARIANT_NAME}",
        min_capacity=config.endpoint_instance_count,
        max_capacity=config.autoscaling_max_instances,
    )
    target.add_resource_dependency(endpoint)
    properties = applicationautoscaling.CfnScalingPolicy
    applicationautoscaling.CfnScalingPolicy(
        scope,
        "ScalingPolicy",
        policy_name=f"{config.name}-concurrency",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=properties.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=config.autoscaling_concurrency,
            scale_in_cooldown=SCALE_IN_COOLDOWN_S,
            scale_out_cooldown=SCALE_OUT_COOLDOWN_S,
            predefined_metric_specification=properties.PredefinedMetricSpecificationProperty(
                predefined_metric_type="SageMakerVariantConcurrentRequestsPerModelHighResolution"
            ),
        ),
    )
