import pytest

from contract.settings import SettingsError
from lambdas.settings import ClassifySettings

COMPLETE = {"ENDPOINT_NAME": "wordsight-dev", "DATA_BUCKET": "wordsight-data"}


def test_what_the_stack_writes_the_function_reads():
    settings = ClassifySettings(
        endpoint_name="wordsight-dev",
        data_bucket="a-bucket",
        cors_origins=("https://a.example", "http://localhost:3000"),
    )
    assert ClassifySettings.from_env(settings.to_env()) == settings


def test_no_origin_is_allowed_unless_named():
    assert ClassifySettings.from_env(COMPLETE).cors_origins == ()
    assert ClassifySettings.from_env({**COMPLETE, "CORS_ORIGINS": ""}).cors_origins == ()


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(SettingsError, match=r"ENDPOINT_NAME.*DATA_BUCKET"):
        ClassifySettings.from_env({})


@pytest.mark.parametrize(
    "name, value",
    [
        ("ENDPOINT_NAME", "under_score"),
        ("ENDPOINT_NAME", "e" * 64),
        ("DATA_BUCKET", "s3://bucket"),
        ("DATA_BUCKET", "Upper"),
        ("CORS_ORIGINS", "https://a.example, example.com"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("CORS_ORIGINS", "https://*.example"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(SettingsError, match=f"{name} is '.*', allowed is"):
        ClassifySettings.from_env({**COMPLETE, name: value})
