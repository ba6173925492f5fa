from pathlib import Path
from typing import Any

import botocore.session
import pytest

from contract.settings import SettingsError
from stacks.config import POWERTOOLS_LAYER_VERSION, StageConfig
from stacks.stage_files import from_context, stage_config, stage_names

REPOSITORY = Path(__file__).parents[2]
DEV, PROD = stage_config("dev"), stage_config("prod")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("auth", "apikey", "api_key, iam, none"),
        ("endpoint_instance_type", "c7i.xlarge", "such as ml.c7i.xlarge"),
        ("endpoint_instance_type", "ml.c7g.xlarge", "x86-64"),
        ("endpoint_instance_type", "ml.inf2.xlarge", "x86-64"),
        ("training_instance_type", "ml.g5g.xlarge", "x86-64"),
        ("endpoint_instance_count", 0, "1 to 100"),
        ("inference_ami", "al2-ami-sagemaker-inference-gpu-2", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("startup_timeout_s", 59, "60 to 3600"),
        ("precision", "fp8", "auto, fp32, bf16, fp16, int8"),
        ("queue_budget_ms", 0, "1 to 10000"),
        ("max_run_s", 10, "600 to 2419200"),
        ("model_id", "clip", "owner/name"),
        ("model_revision", "main", "40 hexadecimal digits"),
        ("serve_image_uri", "docker.io/wordsight:1", "ECR"),
        ("train_base_image", "Python:3", "python:3.12-slim"),
        ("throttling_rate_rps", 0, "0.1 to 10000"),
        ("cors_origins", ("https://example.com/",), "without a path"),
        ("cors_origins", ("example.com",), "without a path"),
        ("log_retention_days", 15, "1, 7, 14, 30, 90, 180, 365"),
        ("api_logging", "on", "create, existing, off"),
        ("alarm_email", "team", "one address of e-mail"),
        ("alarm_email", "a@example.com, b@example.com", "one address of e-mail"),
        ("monthly_budget_usd", -1, "0 to 1000000"),
        ("max_parallel_trainings", 0, "1 to 100"),
        ("max_training_usd_per_month", -1, "0 to 1000000"),
        ("data_bucket", "s3://our-data", "the name of a bucket"),
        ("artifacts_bucket", "Our_Models", "the name of a bucket"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(SettingsError) as raised:
        StageConfig(stage="dev", **{field: value})
    assert f"{field} is {value!r}, allowed: " in str(raised.value)
    assert allowed in str(raised.value)


def test_a_limit_in_usd_needs_a_machine_whose_price_is_known() -> None:
    with pytest.raises(
        SettingsError, match=r"max_training_usd_per_month is 50, allowed with ml\.c6i\.xlarge, .*: 0\. "
    ):
        StageConfig(stage="dev", max_training_usd_per_month=50, training_instance_type="ml.c6i.xlarge")
    assert StageConfig(stage="dev", max_training_usd_per_month=50).max_training_usd_per_month == 50


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        StageConfig(stage="dev", auth="open", throttling_burst=0)
    assert "auth is 'open'" in str(raised.value)
    assert "throttling_burst is 0" in str(raised.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"spot": True, "max_run_s": 7200, "max_wait_s": 3600}, "max_run_s (7200) or more"),
        ({"autoscaling": True, "endpoint_instance_count": 5}, "endpoint_instance_count (5) or more"),
        ({"model_id": "openai/clip-vit-base-patch32"}, "give both"),
        ({"exact": True, "precision": "bf16"}, "allowed with exact: fp32 or auto"),
        ({"precision": "fp16"}, "allowed on a CPU (ml.c7i.xlarge): auto, fp32, bf16, int8"),
        (
            {"precision": "int8", "endpoint_instance_type": "ml.g4dn.xlarge"},
            "allowed on a GPU (ml.g4dn.xlarge): auto, fp32",
        ),
        ({"serving": "lambda", "autoscaling": True}, "autoscaling is True, allowed with serving=lambda: false"),
        ({"serving": "lambda", "office_hours": "Mon-Fri 07:00-19:00 UTC"}, "empty, as nothing is paid while nobody"),
        ({"serving": "lambda", "pause_after_idle_min": 60}, "pause_after_idle_min is 60, allowed with serving=lambda"),
        ({"serving": "lambda", "precision": "int8"}, "auto or fp32, as Lambda lets nobody choose"),
        ({"cors_origins": ("*", "https://a.example")}, "give it alone"),
        ({"data_bucket": "ours", "artifacts_bucket": "ours"}, "are both 'ours': give two"),
    ],
)
def test_values_that_contradict_each_other_are_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        StageConfig(stage="dev", **values)
    assert sentence in str(raised.value)


def test_a_stage_without_instances_keeps_what_is_said_of_them_for_later() -> None:
    config = StageConfig(stage="dev", serving="lambda", endpoint_instance_type="ml.g4dn.xlarge")
    assert not config.endpoint_has_gpu and config.endpoint_usd_per_hour == 0
    assert StageConfig(stage="dev", endpoint_instance_type="ml.g4dn.xlarge").endpoint_has_gpu
    assert StageConfig(stage="dev", function_concurrency=3).endpoint_usd_per_hour == 0.214
    with pytest.raises(SettingsError, match="function_memory_mb is 1024, allowed: 2048 to 10240"):
        StageConfig(stage="dev", function_memory_mb=1024)


def test_waiting_for_spot_is_not_looked_at_without_spot() -> None:
    assert StageConfig(stage="dev", spot=False, max_run_s=20_000, max_wait_s=600)


def test_a_configuration_tells_what_differs_from_the_defaults_and_nothing_else() -> None:
    assert StageConfig(stage="dev").configuration == "{}"
    config = StageConfig(stage="bob", spot=True, cors_origins=("*",), auth="iam", throttling_burst=50)
    assert config.configuration == '{"auth":"iam","cors_origins":["*"],"spot":true}'


def test_a_deployment_tells_what_it_would_take_back() -> None:
    deployed = StageConfig(
        stage="dev",
        endpoint_instance_type="ml.g4dn.xlarge",
        cors_origins=("https://a.example",),
        data_bucket="our-data",
        spot=True,
        throttling_rate_rps=50,
    )
    assert StageConfig(stage="dev", spot=True).changes_from(deployed.configuration) == [
        "endpoint_instance_type: ml.g4dn.xlarge is deployed, this sets ml.c7i.xlarge",
        'cors_origins: ["https://a.example"] is deployed, this sets []',
        'data_bucket: our-data is deployed, this sets ""',
    ]
    assert deployed.changes_from(deployed.configuration) == []


def test_a_default_that_was_deployed_over_the_stages_file_is_missed_too() -> None:
    """prod with -c auth=api_key, and then without."""
    deployed = from_context({"stage": "prod", "auth": "api_key"})
    assert PROD.changes_from(deployed.configuration) == ["auth: api_key is deployed, this sets iam"]


def test_a_deployment_of_another_version_may_know_other_knobs() -> None:
    deployed = '{"auth":"iam","gone":[1],"spot":"sometimes"}'
    assert StageConfig(stage="dev", auth="iam").changes_from(deployed) == [
        "spot: sometimes is deployed, this sets false"
    ]


@pytest.mark.parametrize(
    ("instance_type", "has_gpu"),
    [("ml.c7i.xlarge", False), ("ml.m5.large", False), ("ml.g4dn.xlarge", True), ("ml.p4d.24xlarge", True)],
)
def test_a_gpu_is_told_from_the_instance_type(instance_type: str, has_gpu: bool) -> None:
    assert StageConfig(stage="dev", endpoint_instance_type=instance_type).endpoint_has_gpu is has_gpu
    assert StageConfig(stage="dev", training_instance_type=instance_type).training_has_gpu is has_gpu


def test_dev_needs_no_gpu_and_prod_keeps_its_data_and_is_signed() -> None:
    assert not DEV.endpoint_has_gpu
    assert DEV.auth == "api_key"
    assert not DEV.termination_protection
    assert PROD.endpoint_has_gpu
    assert PROD.retain_data
    assert PROD.termination_protection
    assert PROD.auth == "iam"
    assert PROD.commercial and not DEV.commercial


@pytest.mark.parametrize("stage", stage_names())
def test_sagemaker_knows_the_instance_types_and_the_driver(stage: str) -> None:
    config = stage_config(stage)
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    variant = sagemaker.shape_for("ProductionVariant").members
    assert config.endpoint_instance_type in variant["InstanceType"].enum
    assert config.inference_ami in variant["InferenceAmiVersion"].enum
    assert config.training_instance_type in sagemaker.shape_for("TrainingInstanceType").enum


def test_the_powertools_layer_is_the_one_that_requirements_name() -> None:
    """Layer 36 carries 3.31.1: https://github.com/aws-powertools/powertools-lambda-python/releases"""
    assert POWERTOOLS_LAYER_VERSION == 36
    assert "aws-lambda-powertools==3.31.1" in (REPOSITORY / "requirements.txt").read_text()
