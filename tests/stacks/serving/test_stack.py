import re

import pytest

from contract.containers import ServeSettings
from tests.stacks.conftest import Assembly, Synthesize, flat


@pytest.fixture(params=["dev", "prod"])
def assembly(request: pytest.FixtureRequest) -> Assembly:
    found: Assembly = request.getfixturevalue(request.param)
    return found


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


def test_the_server_computes_and_queues_as_the_stage_says(synthesize: Synthesize) -> None:
    serving = synthesize(exact="true", precision="fp32", queue_budget_ms="250").serving
    told = ServeSettings.from_env(serving.the("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"])
    assert (told.exact, told.precision, told.queue_budget_ms) == (True, "fp32", 250)


def test_every_change_of_the_model_makes_new_names_but_the_endpoints(assembly: Assembly) -> None:
    assert "ModelName" not in assembly.serving.the("AWS::SageMaker::Model")
    assert "EndpointConfigName" not in assembly.serving.the("AWS::SageMaker::EndpointConfig")
    assert flat(variant(assembly)["ModelName"]) == "${Model.ModelName}"
    endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
    assert flat(endpoint["EndpointConfigName"]) == "${EndpointConfig.EndpointConfigName}"
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


def test_the_endpoints_logs_are_kept_as_long_as_the_stage_says(dev: Assembly, prod: Assembly) -> None:
    for assembly, days in ((dev, 14), (prod, 90)):
        ((id, retention),) = assembly.serving.of_type("Custom::LogRetention").items()
        endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
        assert retention["Properties"]["LogGroupName"] == f"/aws/sagemaker/Endpoints/{endpoint['EndpointName']}"
        assert retention["Properties"]["RetentionInDays"] == days
        assert retention["Properties"]["RemovalPolicy"] == "destroy"
        (resource,) = assembly.serving.of_type("AWS::SageMaker::Endpoint").values()
        assert id in resource["DependsOn"]


def test_the_endpoint_reads_models_its_alarms_and_one_repository_and_logs_to_one_group(dev: Assembly) -> None:
    artifacts = "${WordsightData-dev.PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE}"
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
        "s3:GetObject": ({f"{artifacts}/models/*"}, None),
        "s3:ListBucket": ({artifacts}, {"StringLike": {"s3:prefix": ["models/*"]}}),
        **{
            f"ecr:{name}": ({images}, None)
            for name in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        },
        "ecr:GetAuthorizationToken": ({"*"}, None),
        **{
            f"logs:{name}": ({logs, f"{logs}:*"}, None)
            for name in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents")
        },
        "cloudwatch:DescribeAlarms": ({f"${{{id}.Arn}}" for id in dev.serving.of_type("AWS::CloudWatch::Alarm")}, None),
        "cloudwatch:PutMetricData": (
            {"*"},
            {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
        ),
    }


def test_the_fallback_driver_can_be_chosen(synthesize: Synthesize) -> None:
    older = synthesize(endpoint_instance_type="ml.g5.xlarge", inference_ami="al2-ami-sagemaker-inference-gpu-3-1")
    assert variant(older)["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-gpu-3-1"
