"""Settings travel through an environment and back, and a bad value is named with what is allowed."""

from pathlib import Path

import pytest

from contract.containers import FunctionSettings, ServeSettings, TrainSettings
from contract.models import NO_MODEL_URI
from contract.settings import SettingsError


def test_an_empty_environment_gives_the_containers_defaults() -> None:
    settings = ServeSettings.from_env({})
    assert settings.port == 8080
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.base_model_dir == Path("/opt/wordsight/base")
    assert not settings.expect_gpu


def test_the_model_folder_follows_sagemakers_base_folder() -> None:
    assert ServeSettings.from_env({"SAGEMAKER_BASE_DIR": "/somewhere"}).model_dir == Path("/somewhere/model")
    assert ServeSettings.from_env({"SAGEMAKER_BASE_DIR": "/a", "SM_MODEL_DIR": "/b"}).model_dir == Path("/b")


def test_training_finds_its_channels_below_sagemakers_base_folder(tmp_path: Path) -> None:
    settings = TrainSettings.from_env({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert (settings.train_dir, settings.model_dir) == (tmp_path / "input/data/train", tmp_path / "model")
    assert TrainSettings.from_env({"SM_CHANNEL_TRAIN": "/images"}).train_dir == Path("/images")


def test_a_mounted_base_channel_comes_before_the_images_own_base(tmp_path: Path) -> None:
    settings = TrainSettings(base_dir=tmp_path)
    assert settings.start_dir == Path("/opt/wordsight/base")
    (tmp_path / "input/data/base").mkdir(parents=True)
    assert settings.start_dir == tmp_path / "input/data/base"
    assert TrainSettings(base_dir=tmp_path, base_channel_dir=Path("/mine")).start_dir == Path("/mine")


def test_training_can_be_told_to_expect_a_gpu() -> None:
    assert TrainSettings(expect_gpu=True).to_env() == {"EXPECT_GPU": "1"}
    assert TrainSettings.from_env({"EXPECT_GPU": "1"}).expect_gpu


def test_what_was_chosen_survives_the_way_through_an_environment() -> None:
    settings = ServeSettings(expect_gpu=True, queue_budget_ms=5, base_model_dir=Path("/weights"))
    environment = settings.to_env()
    assert environment == {"EXPECT_GPU": "1", "QUEUE_BUDGET_MS": "5", "BASE_MODEL_DIR": "/weights"}
    assert ServeSettings.from_env(environment) == settings


def test_strangers_variables_are_ignored_and_empty_ones_take_the_default() -> None:
    assert ServeSettings.from_env({"PATH": "/bin", "QUEUE_BUDGET_MS": ""}) == ServeSettings()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "SAGEMAKER_BIND_TO_PORT is 'http': input should be a valid integer"),
        ({"QUEUE_BUDGET_MS": "0"}, "QUEUE_BUDGET_MS is '0': input should be greater than or equal to 1"),
        ({"EXPECT_GPU": "perhaps"}, "EXPECT_GPU is 'perhaps': input should be a valid boolean"),
        ({"PRECISION": "fp8"}, "PRECISION is 'fp8': input should be 'auto', 'fp32', 'bf16', 'fp16' or 'int8'"),
        ({"PRECISION": "bf16", "EXACT": "1"}, "EXACT is 1 and PRECISION 'bf16': exact is fp32, leave PRECISION out"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ServeSettings.from_env(environ)
    assert str(caught.value).startswith(sentence)


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"QUEUE_BUDGET_MS .*; LABEL_CACHE_ROWS "):
        ServeSettings.from_env({"QUEUE_BUDGET_MS": "0", "LABEL_CACHE_ROWS": "many"})


def test_the_model_is_the_images_own_unless_a_folder_is_named() -> None:
    assert FunctionSettings.from_env({}).model_s3_uri == NO_MODEL_URI
    assert FunctionSettings.from_env({"MODEL_S3_URI": "s3://bucket/models/a/"}).model_s3_uri == "s3://bucket/models/a/"
    with pytest.raises(SettingsError, match="MODEL_S3_URI is 'bucket/models'"):
        FunctionSettings.from_env({"MODEL_S3_URI": "bucket/models"})
