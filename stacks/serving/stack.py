"""Serving: the image, and the endpoint or the function that runs it.

    npx cdk deploy WordsightServing-dev --parameters ModelUri=s3://<artifacts bucket>/models/<job>/…/

`ModelUri` names the checkpoint to serve; by default the base weights in the image. Changing it makes a new Model, and
so a new EndpointConfig, and so a blue/green update of the endpoint with alarms that roll it back. While `Paused` is yes
there is no endpoint, which is nearly all that a stage costs. CloudFormation is the endpoint's only writer: what another
hand changes, the next deployment undoes. With `serving` "lambda" a function stands in the endpoint's place
(stacks/serving/function.py), by the same two parameters.
"""

from collections.abc import Sequence
from typing import cast

from aws_cdk import (
    Aws,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    DefaultStackSynthesizer,
    Duration,
    Fn,
    RemovalPolicy,
    Stack,
)
from aws_cdk import aws_applicationautoscaling as applicationautoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from contract.containers import ServeSettings
from contract.endpoint import NO, PAUSED_PARAMETER, YES
from contract.limits import CONTAINER_TIMEOUT_S
from contract.models import MODEL_URI_PARAMETER, MODELS_PREFIX, NO_MODEL_URI
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import retention
from stacks.images import ContainerImage
from stacks.nag import acknowledge, managed_policy, wildcard
from stacks.permissions import ExecutionRole
from stacks.serving.function import serving_function
from stacks.serving.update_role import EXECUTION_ROLE_ID, endpoint_config_id, model_id

RUN_BY = {"endpoint": "behind a SageMaker endpoint", "lambda": "as a Lambda function"}
"""Who runs the model, in words."""

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


class ServingStack(Stack):
    """One real-time endpoint, or one function, named `wordsight-<stage>`."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(
            scope,
            id,
            description=f"Wordsight: the model {RUN_BY[config.serving]}",
            # The rule reads an SSM parameter with the rights of whoever updates the stack, and a promotion has none.
            # `cdk deploy` asks for the bootstrap's version all the same: it is in the manifest of the stack's assets.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        self._name = config.name
        image = ContainerImage.serve(self, config)
        model_uri, not_paused = self._model_uri(), self._not_paused()
        if config.serving == "lambda":
            serving_function(self, config, data, image, model_uri, not_paused)
            CfnOutput(self, "FunctionName", value=config.name)
        else:
            self._endpoint(config, data, image, model_uri, not_paused)

    def _endpoint(
        self,
        config: StageConfig,
        data: DataStack,
        image: ContainerImage,
        model_uri: CfnParameter,
        not_paused: CfnCondition,
    ) -> None:
        role = ExecutionRole(
            self,
            EXECUTION_ROLE_ID,
            log_group_name=config.endpoint_log_group,
            metric_namespace="/aws/sagemaker/Endpoints",
        )
        cast(iam.CfnRole, role.node.default_child).override_logical_id(EXECUTION_ROLE_ID)
        role.allow_read(data.artifacts, MODELS_PREFIX)
        image.repository.grant_pull(role)
        alarms = self._rollback_alarms()
        # SageMaker looks at the alarms of an update with this role:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        role.allow(["cloudwatch:DescribeAlarms"], *(alarm.alarm_arn for alarm in alarms))

        endpoint_config = self._endpoint_config(config, self._model(config, image, role, model_uri))
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            # The one physical name: alarms must name the endpoint before it exists, and it is never replaced.
            endpoint_name=self._name,
            endpoint_config_name=endpoint_config.attr_endpoint_config_name,
            deployment_config=_deployment_config(config, alarms),
            # An update would otherwise put the instances that autoscaling added out of service.
            retain_all_variant_properties=True if config.autoscaling else None,
        )
        endpoint.node.add_dependency(self._log_retention(config))
        endpoint.cfn_options.condition = not_paused
        if config.autoscaling:
            self._autoscaling(config, endpoint, not_paused)
        CfnOutput(self, "EndpointName", value=self._name)

    def _not_paused(self) -> CfnCondition:
        """A pause changes the parameter, and a deployment keeps what it finds (lambdas/rollout/pausing.py)."""
        paused = CfnParameter(
            self,
            PAUSED_PARAMETER,
            default=NO,
            allowed_values=[YES, NO],
            description="Whether the stage has no endpoint: the model, its configuration and ModelUri stay",
        )
        return CfnCondition(self, "IsNotPaused", expression=Fn.condition_equals(paused, NO))

    def _model_uri(self) -> CfnParameter:
        return CfnParameter(
            self,
            MODEL_URI_PARAMETER,
            default=NO_MODEL_URI,
            allowed_pattern=r"^s3://[a-z0-9][a-z0-9.-]+/(.*/)?$",
            constraint_description="an S3 prefix that ends with a slash, such as s3://bucket/models/attempt-1/",
            description=f"The checkpoint to serve; {NO_MODEL_URI} for the base weights in the image",
        )

    def _model(
        self, config: StageConfig, image: ContainerImage, role: ExecutionRole, model_uri: CfnParameter
    ) -> sagemaker.CfnModel:
        has_model = CfnCondition(
            self, "HasModel", expression=Fn.condition_not(Fn.condition_equals(model_uri, NO_MODEL_URI))
        )
        source = {"S3Uri": model_uri.value_as_string, "S3DataType": "S3Prefix", "CompressionType": "None"}
        # No name of its own: every change replaces a Model, and a fixed name would be taken.
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri,
                environment=ServeSettings(
                    expect_gpu=config.endpoint_has_gpu,
                    exact=config.exact,
                    precision=config.precision,
                    queue_budget_ms=config.queue_budget_ms,
                ).to_env(),
                model_data_source=Fn.condition_if(has_model.logical_id, {"S3DataSource": source}, Aws.NO_VALUE),
            ),
        )
        model.override_logical_id(model_id(config))
        model.node.add_dependency(role)  # with its policies: SageMaker reads the bucket when it creates a model
        return model

    def _endpoint_config(self, config: StageConfig, model: sagemaker.CfnModel) -> sagemaker.CfnEndpointConfig:
        properties = sagemaker.CfnEndpointConfig
        variant = properties.ProductionVariantProperty(
            variant_name=VARIANT_NAME,
            model_name=model.attr_model_name,
            instance_type=config.endpoint_instance_type,
            initial_instance_count=config.endpoint_instance_count,
            initial_variant_weight=1,
            inference_ami_version=config.inference_ami if config.endpoint_has_gpu else None,
            container_startup_health_check_timeout_in_seconds=config.startup_timeout_s,
            model_data_download_timeout_in_seconds=DOWNLOAD_TIMEOUT_S,
            routing_config=properties.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
        )
        endpoint_config = sagemaker.CfnEndpointConfig(
            self,
            "EndpointConfig",
            production_variants=[variant],
            # On by default, and every series it scrapes from /metrics is paid for as a custom metric.
            metrics_config=properties.MetricsConfigProperty(enable_detailed_observability=False),
        )
        endpoint_config.override_logical_id(endpoint_config_id(config))
        return endpoint_config

    def _rollback_alarms(self) -> list[cloudwatch.Alarm]:
        """What must not happen to an endpoint that was just updated: faults of the model, answers that take long."""
        slow_us = CONTAINER_TIMEOUT_S / 2 * 1_000_000  # ModelLatency counts microseconds
        faults, slow = "The model answers with faults", "The slowest answers take half of what callers wait for"
        return [
            cloudwatch.Alarm(
                self,
                id,
                metric=cloudwatch.Metric(
                    namespace="AWS/SageMaker",
                    metric_name=metric_name,
                    dimensions_map={"EndpointName": self._name, "VariantName": VARIANT_NAME},
                    statistic=statistic,
                    period=Duration.minutes(1),
                ),
                threshold=threshold,
                evaluation_periods=minutes,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                alarm_description=description,
            )
            for id, description, metric_name, statistic, threshold, minutes in (
                ("ServerFaults", faults, "Invocation5XXErrors", "Sum", MAX_SERVER_FAULTS_PER_MINUTE, 1),
                # With little traffic the p99 of a minute is one request, and a new fleet's first one may be slow.
                ("SlowAnswers", slow, "ModelLatency", "p99", slow_us, 2),
            )
        ]

    def _autoscaling(self, config: StageConfig, endpoint: sagemaker.CfnEndpoint, not_paused: CfnCondition) -> None:
        """Follow the requests in flight, which CloudWatch shows every ten seconds for this one metric.

        No role: Application Auto Scaling has its own for SageMaker.
        """
        target = applicationautoscaling.CfnScalableTarget(
            self,
            "ScalableTarget",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{config.name}/variant/{VARIANT_NAME}",
            min_capacity=config.endpoint_instance_count,
            max_capacity=config.autoscaling_max_instances,
        )
        target.add_resource_dependency(endpoint)
        properties = applicationautoscaling.CfnScalingPolicy
        policy = applicationautoscaling.CfnScalingPolicy(
            self,
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

        for each in (target, policy):
            each.cfn_options.condition = not_paused

    def _log_retention(self, config: StageConfig) -> logs.LogRetention:
        """SageMaker makes the log group, and makes it again when a late line arrives after a deletion.

        A log group of the stack's own would then fail the next deployment with "already exists". It is kept when the
        stack goes, since that is how a first deployment that failed ends, and why it did stands only here.
        """
        log_retention = logs.LogRetention(
            self,
            "LogRetention",
            log_group_name=config.endpoint_log_group,
            retention=retention(config),
            removal_policy=RemovalPolicy.RETAIN,
        )
        beside = (each for each in self.node.children if each.node.id.startswith("LogRetention"))
        (function,) = (each for each in beside if each is not log_retention)
        acknowledge(
            function,
            "the library's own function: it sets how long one log group is kept, at deployment only",
            *(wildcard(self, "*"), managed_policy("AWSLambdaBasicExecutionRole")),
        )
        return log_retention


def _deployment_config(
    config: StageConfig, alarms: Sequence[cloudwatch.Alarm]
) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
    """Blue/green, rolled back by any of `alarms`; one instance goes first where there are several."""
    properties = sagemaker.CfnEndpoint
    several = config.endpoint_instance_count > 1
    one = properties.CapacitySizeProperty(type="INSTANCE_COUNT", value=1)
    return properties.DeploymentConfigProperty(
        auto_rollback_configuration=properties.AutoRollbackConfigProperty(
            alarms=[properties.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
        ),
        blue_green_update_policy=properties.BlueGreenUpdatePolicyProperty(
            traffic_routing_configuration=properties.TrafficRoutingConfigProperty(
                type="CANARY" if several else "ALL_AT_ONCE",
                canary_size=one if several else None,
                wait_interval_in_seconds=BAKE_TIME_S,
            ),
            termination_wait_in_seconds=TERMINATION_WAIT_S,
            maximum_execution_timeout_in_seconds=(
                PROVISIONING_S + DOWNLOAD_TIMEOUT_S + config.startup_timeout_s + BAKE_TIME_S + TERMINATION_WAIT_S
            ),
        ),
    )
