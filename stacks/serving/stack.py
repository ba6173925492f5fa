"""Serving: the image, and the endpoint that runs it.

    npx cdk deploy WordsightServing-dev --parameters ModelUri=s3://<artifacts bucket>/models/<job>/…/

`ModelUri` names the checkpoint to serve; by default the base weights in the image. Changing it makes a new Model, and
so a new EndpointConfig, and so a blue/green update of the endpoint with alarms that roll it back. CloudFormation is
the endpoint's only writer: what another hand changes, the next deployment undoes.
"""

from typing import Any

from aws_cdk import ArnFormat, Aws, CfnCondition, CfnOutput, CfnParameter, Fn, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from contract.containers import ServeSettings
from contract.models import MODEL_URI_PARAMETER, MODELS_PREFIX, NO_MODEL_URI
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import retention
from stacks.images import ContainerImage
from stacks.nag import acknowledge, managed_policy, wildcard
from stacks.permissions import ExecutionRole
from stacks.serving.guardrails import DOWNLOAD_TIMEOUT_S, VARIANT_NAME, autoscaling, deployment_config, rollback_alarms


class ServingStack(Stack):
    """One real-time endpoint named `wordsight-<stage>`."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id, description="Wordsight: the model behind a SageMaker endpoint")
        self.endpoint_name = config.name
        log_group_name = f"/aws/sagemaker/Endpoints/{config.name}"
        image = ContainerImage.serve(self, config)
        role = ExecutionRole(
            self, "ExecutionRole", log_group_name=log_group_name, metric_namespace="/aws/sagemaker/Endpoints"
        )
        role.allow_read(data.artifacts, MODELS_PREFIX)
        image.repository.grant_pull(role)
        alarms = rollback_alarms(self, self.endpoint_name)
        # SageMaker looks at the alarms of an update with this role:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        role.allow(["cloudwatch:DescribeAlarms"], *(alarm.alarm_arn for alarm in alarms))

        model = self._model(config, image, role)
        endpoint = self._endpoint(self._endpoint_config(config, model), deployment_config(config, alarms), config)
        endpoint.node.add_dependency(self._log_retention(config, log_group_name))
        if config.autoscaling:
            autoscaling(self, config, endpoint)
        CfnOutput(self, "EndpointName", value=self.endpoint_name)

    @property
    def endpoint_arn(self) -> str:
        """The endpoint's ARN, spelled from its name: whoever may call it need not wait for it to exist."""
        return self.format_arn(service="sagemaker", resource="endpoint", resource_name=self.endpoint_name)

    def _model(self, config: StageConfig, image: ContainerImage, role: ExecutionRole) -> sagemaker.CfnModel:
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
                model_data_source=self._model_data_source(),
            ),
        )
        model.node.add_dependency(role)  # with its policies: SageMaker reads the bucket when it creates a model
        return model

    def _model_data_source(self) -> Any:
        model_uri = CfnParameter(
            self,
            MODEL_URI_PARAMETER,
            default=NO_MODEL_URI,
            allowed_pattern=r"^s3://[a-z0-9][a-z0-9.-]+/(.*/)?$",
            constraint_description="an S3 prefix that ends with a slash, such as s3://bucket/models/attempt-1/",
            description=f"The checkpoint to serve; {NO_MODEL_URI} for the base weights in the image",
        )
        has_model = CfnCondition(
            self, "HasModel", expression=Fn.condition_not(Fn.condition_equals(model_uri, NO_MODEL_URI))
        )
        source = {
            "S3DataSource": {
                "S3Uri": model_uri.value_as_string,
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        }
        return Fn.condition_if(has_model.logical_id, source, Aws.NO_VALUE)

    def _endpoint_config(self, config: StageConfig, model: sagemaker.CfnModel) -> sagemaker.CfnEndpointConfig:
        variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty(
            variant_name=VARIANT_NAME,
            model_name=model.attr_model_name,
            instance_type=config.endpoint_instance_type,
            initial_instance_count=config.endpoint_instance_count,
            initial_variant_weight=1,
            inference_ami_version=config.inference_ami if config.endpoint_has_gpu else None,
            container_startup_health_check_timeout_in_seconds=config.startup_timeout_s,
            model_data_download_timeout_in_seconds=DOWNLOAD_TIMEOUT_S,
            routing_config=sagemaker.CfnEndpointConfig.RoutingConfigProperty(
                routing_strategy="LEAST_OUTSTANDING_REQUESTS"
            ),
        )
        return sagemaker.CfnEndpointConfig(
            self,
            "EndpointConfig",
            production_variants=[variant],
            # On by default, and every series it scrapes from /metrics is paid for as a custom metric.
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(enable_detailed_observability=False),
        )

    def _endpoint(
        self,
        endpoint_config: sagemaker.CfnEndpointConfig,
        deployment: sagemaker.CfnEndpoint.DeploymentConfigProperty,
        config: StageConfig,
    ) -> sagemaker.CfnEndpoint:
        return sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            # The one physical name: alarms must name the endpoint before it exists, and it is never replaced.
            endpoint_name=self.endpoint_name,
            endpoint_config_name=endpoint_config.attr_endpoint_config_name,
            deployment_config=deployment,
            # An update would otherwise put the instances that autoscaling added out of service.
            retain_all_variant_properties=True if config.autoscaling else None,
        )

    def _log_retention(self, config: StageConfig, log_group_name: str) -> logs.LogRetention:
        """SageMaker makes the log group, and makes it again when a late line arrives after a deletion.

        A log group of the stack's own would then fail the next deployment with "already exists".
        """
        log_retention = logs.LogRetention(
            self,
            "LogRetention",
            log_group_name=log_group_name,
            retention=retention(config),
            removal_policy=RemovalPolicy.DESTROY,
        )
        (function,) = (
            each for each in self.node.children if each.node.id.startswith("LogRetention") and each is not log_retention
        )
        log_streams = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{log_group_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        acknowledge(
            function,
            "the library's own function: it sets how long one log group is kept, at deployment only",
            *(wildcard(self, "*"), wildcard(self, log_streams), managed_policy("AWSLambdaBasicExecutionRole")),
        )
        return log_retention
