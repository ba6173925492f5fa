import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from contract.settings import SettingsError
from stacks.config import POWERTOOLS_LAYER_VERSION, STAGES, StageConfig, from_context, stage_config

REPOSITORY = Path(__file__).parents[2]


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
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(SettingsError) as raised:
        StageConfig(stage="dev", **{field: value})
    assert f"{field} is {value!r}, allowed: " in str(raised.value)
    assert allowed in str(raised.value)


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
        ({"cors_origins": ("*", "https://a.example")}, "give it alone"),
    ],
)
def test_values_that_contradict_each_other_are_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        StageConfig(stage="dev", **values)
    assert sentence in str(raised.value)


def test_waiting_for_spot_is_not_looked_at_without_spot() -> None:
    assert StageConfig(stage="dev", spot=False, max_run_s=20_000, max_wait_s=600)


def test_a_stage_that_is_not_written_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match="stage is 'test', allowed: dev, prod"):
        stage_config("test")


@pytest.mark.parametrize(
    ("instance_type", "has_gpu"),
    [("ml.c7i.xlarge", False), ("ml.m5.large", False), ("ml.g4dn.xlarge", True), ("ml.p4d.24xlarge", True)],
)
def test_a_gpu_is_told_from_the_instance_type(instance_type: str, has_gpu: bool) -> None:
    assert StageConfig(stage="dev", endpoint_instance_type=instance_type).endpoint_has_gpu is has_gpu
    assert StageConfig(stage="dev", training_instance_type=instance_type).training_has_gpu is has_gpu


def test_dev_needs_no_gpu_and_prod_keeps_its_data_and_is_signed() -> None:
    assert not STAGES["dev"].endpoint_has_gpu
    assert STAGES["dev"].auth == "api_key"
    assert STAGES["prod"].endpoint_has_gpu
    assert STAGES["prod"].retain_data
    assert STAGES["prod"].auth == "iam"


@pytest.mark.parametrize("config", STAGES.values(), ids=STAGES.keys())
def test_sagemaker_knows_the_instance_types_and_the_driver(config: StageConfig) -> None:
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    variant = sagemaker.shape_for("ProductionVariant").members
    assert config.endpoint_instance_type in variant["InstanceType"].enum
    assert config.inference_ami in variant["InferenceAmiVersion"].enum
    assert config.training_instance_type in sagemaker.shape_for("TrainingInstanceType").enum


def test_the_powertools_layer_is_the_one_that_requirements_name() -> None:
    """Layer 36 carries 3.31.1: https://github.com/aws-powertools/powertools-lambda-python/releases"""
    assert POWERTOOLS_LAYER_VERSION == 36
    assert "aws-lambda-powertools==3.31.1" in (REPOSITORY / "requirements.txt").read_text()


@pytest.mark.parametrize(("stage", "usd_per_hour"), [("dev", "0.21"), ("prod", "0.74")])
def test_the_cost_is_told_before_a_deployment(stage: str, usd_per_hour: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "stacks.config", stage], cwd=REPOSITORY, capture_output=True, text=True)
    assert f"about {usd_per_hour} USD per hour" in ran.stdout


def test_an_unknown_price_is_not_made_up() -> None:
    config = StageConfig(stage="prod", endpoint_instance_type="ml.p5.48xlarge")
    assert "USD" not in config.cost
    assert "pricing" in config.cost


def test_without_a_stage_it_is_dev() -> None:
    assert from_context({}) == STAGES["dev"]


def test_keys_of_cdk_are_not_ours() -> None:
    assert from_context({"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:x": True, "nag": "true"}) == STAGES["dev"]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("endpoint_instance_count", "3", 3),
        ("throttling_rate_rps", "0.5", 0.5),
        ("spot", "true", True),
        ("spot", True, True),
        ("autoscaling", "False", False),
        ("cors_origins", "https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("cors_origins", ["https://a.example"], ("https://a.example",)),
        ("cors_origins", "", ()),
        ("auth", "none", "none"),
    ],
)
def test_a_value_of_the_command_line_takes_the_type_of_its_setting(key: str, text: Any, value: Any) -> None:
    assert getattr(from_context({key: text}), key) == value


def test_what_the_context_does_not_name_stays_the_stages() -> None:
    config = from_context({"stage": "prod", "log_retention_days": "7"})
    assert config.log_retention_days == 7
    assert config.endpoint_instance_type == STAGES["prod"].endpoint_instance_type


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"stage": "staging"}, "stage is 'staging', allowed: dev, prod"),
        ({"instance_typ": "x"}, "there is no setting 'instance_typ'"),
        ({"auht": "none"}, "did you mean auth?"),
        ({"spot": "yes"}, "spot is 'yes', allowed: true, false"),
        ({"endpoint_instance_count": "two"}, "endpoint_instance_count is 'two', allowed: a whole number"),
        ({"throttling_rate_rps": "fast"}, "throttling_rate_rps is 'fast', allowed: a number"),
        ({"auth": "basic"}, "auth is 'basic', allowed: api_key, iam, none"),
    ],
)
def test_a_bad_key_or_value_is_named_with_what_is_allowed(context: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        from_context(context)
    assert sentence in str(raised.value)


def test_a_whole_configuration_may_come_as_text() -> None:
    texts = {key: "true" if value is True else str(value) for key, value in dict(STAGES["prod"]).items()}
    assert from_context({**texts, "cors_origins": ""}) == STAGES["prod"]


def test_a_bad_key_and_a_bad_value_are_named_together() -> None:
    with pytest.raises(SettingsError, match=r"spot is 'yes', allowed: true, false; there is no setting 'auht'"):
        from_context({"spot": "yes", "auht": "none"})
