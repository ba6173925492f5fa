"""Where a local system lives, and that none of its processes reaches an account, whatever the shell and home hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.settings import (
    LocalError,
    LocalSettings,
    cdk_environment,
    client_environment,
    emulator_environment,
    scrubbed,
)

A_REAL_SHELL = {
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_PROFILE": "production",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/admin",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
    "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
    "CDK_DEFAULT_ACCOUNT": "123456789012",
    "BOTO_CONFIG": "/boto",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "PATH": "/usr/bin:/bin",
}

SEEN_BY_BOTO3 = """
import boto3, json
session = boto3.Session()
credentials = session.get_credentials()
print(json.dumps([credentials.access_key, credentials.token, session.available_profiles,
                  boto3.client("s3").meta.endpoint_url, boto3.client("sagemaker-runtime").meta.endpoint_url]))
"""

CALL_WITHOUT_THE_ENDPOINT = """
import boto3, botocore.config, os
del os.environ["AWS_ENDPOINT_URL"]
config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=3)
boto3.client("sts", config=config).get_caller_identity()
"""


def test_without_variables_the_system_lives_in_dot_local_on_the_default_port() -> None:
    settings = LocalSettings.from_env({})
    assert settings.directory == settings.repository / ".local"
    assert settings.endpoint_url == f"http://127.0.0.1:{settings.port}"


@pytest.mark.parametrize("port", ["80", "65536", "http", "-1"])
def test_a_bad_port_is_named_with_what_is_allowed(port: str) -> None:
    with pytest.raises(LocalError, match=f"WORDSIGHT_LOCAL_PORT is '{port}'.*from 1024 to 65535"):
        LocalSettings.from_env({"WORDSIGHT_LOCAL_PORT": port})


def test_a_running_system_is_found_on_the_port_it_was_started_with(tmp_path: Path) -> None:
    settings = LocalSettings.from_env({"WORDSIGHT_LOCAL_DIR": str(tmp_path), "WORDSIGHT_LOCAL_PORT": "5001"})
    settings.port_file.write_text("5001")
    assert LocalSettings.from_env({"WORDSIGHT_LOCAL_DIR": str(tmp_path)}).port == 5001


@pytest.fixture
def real_home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = real\n"
    )
    (tmp_path / ".aws/config").write_text("[profile production]\nregion = eu-central-1\n")
    return tmp_path


def run(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def test_nothing_of_an_account_survives_scrubbing() -> None:
    kept = scrubbed(A_REAL_SHELL)
    assert not {name: value for name, value in kept.items() if "real" in value.lower() or "123456789012" in value}
    assert "AWS_PROFILE" not in kept
    assert kept["AWS_CONFIG_FILE"] == kept["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


@pytest.mark.parametrize("build", [client_environment, cdk_environment, emulator_environment])
def test_an_aws_client_sees_the_emulator_and_no_credentials_of_the_home_folder(
    build: object, settings: LocalSettings, real_home: Path
) -> None:
    assert callable(build)
    seen = run(SEEN_BY_BOTO3, build(settings, {**A_REAL_SHELL, "HOME": str(real_home)}))
    assert json.loads(seen.stdout) == ["000000000000", None, [], settings.endpoint_url, settings.endpoint_url]


def test_a_client_that_forgets_the_endpoint_cannot_leave_the_machine(settings: LocalSettings) -> None:
    called = run(CALL_WITHOUT_THE_ENDPOINT, client_environment(settings, A_REAL_SHELL))
    assert "ProxyConnectionError" in called.stderr


def test_functions_and_programs_do_not_inherit_a_way_to_import_the_repository(settings: LocalSettings) -> None:
    assert "PYTHONPATH" not in emulator_environment(settings, {**A_REAL_SHELL, "PYTHONPATH": str(settings.repository)})
