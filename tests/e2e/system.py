"""One local system, through its commands and its addresses."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3

from local import processes, sample
from local.permissions import Decision, read_decisions
from local.processes import free_port
from local.settings import DIRECTORY_VARIABLE, PORT_VARIABLE, STAGE, LocalSettings, client_environment
from tests.e2e import calls
from tests.local.conftest import ROOT

SERVING_STACK = "WordsightServing-dev"
SOMEBODYS_ACCOUNT = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real", "AWS_PROFILE": "production"}
"""What may be in the shell of who runs `make local`; with any of it in use, nothing here would work."""

TIERS = {"endpoint": (), "function": ("--context", "serving=lambda")}
"""Who runs the model, and what makes it so."""


@dataclass(frozen=True)
class System:
    """One local system and the ways to talk to it."""

    settings: LocalSettings

    def decisions(self) -> list[Decision]:
        """What the roles of the app were allowed. Raises AssertionError for what one of them was denied."""
        decisions = list(read_decisions(self.settings.decisions))
        denied = [decision.sentence for decision in decisions if not decision.allowed]
        assert not denied, "\n".join(denied)
        return decisions

    def check_permissions(self) -> None:
        """Nothing that a role of the app did was denied, and all of it is on record."""
        calls.check(calls.calls_of(self.decisions(), self.client("cloudformation"), STAGE))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {
            DIRECTORY_VARIABLE: str(self.settings.directory),
            PORT_VARIABLE: str(self.settings.port),
        }
        command = [sys.executable, "-m", "local", *arguments]
        environment = {**os.environ, **SOMEBODYS_ACCOUNT, **own}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def deploy_model(self, uri: str) -> subprocess.CompletedProcess[str]:
        """What a person would do to promote another checkpoint."""
        assembly = ("--app", str(self.settings.cloud_assembly))
        parameter = ("--parameters", f"{SERVING_STACK}:ModelUri={uri}")
        return self.run("cdk", "deploy", SERVING_STACK, "--require-approval", "never", *assembly, *parameter)

    @property
    def url(self) -> str:
        return self.settings.url_file.read_text().strip()

    @property
    def api_key(self) -> str:
        return self.settings.api_key_file.read_text().strip()

    def post(self, path: str, body: bytes, content_type: str) -> tuple[Any, Any]:
        """The answer's JSON and headers."""
        headers = {"x-api-key": self.api_key, "content-type": content_type}
        request = urllib.request.Request(f"{self.url}/{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response), response.headers

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """The status and the answer's JSON, whatever they are."""
        request = urllib.request.Request(
            f"{self.url}/{path}", body, {"x-api-key": self.api_key, **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def classify(self) -> tuple[Any, Any]:
        return self.post(f"classify?candidate_labels={labels()}", sample.IMAGE.read_bytes(), "image/png")

    def client(self, service: str) -> Any:
        environment = client_environment(self.settings, {})
        return boto3.client(
            service,
            endpoint_url=self.settings.endpoint_url,
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def output(self, name: str) -> str:
        stacks = json.loads(self.settings.outputs.read_text()).values()
        return next(str(outputs[name]) for outputs in stacks if name in outputs)


@contextmanager
def undeployed(directory: Path) -> Iterator[System]:
    """A local system of its own that is not up yet, and gone afterwards however a test has left it."""
    system = System(LocalSettings(ROOT, directory, free_port()))
    try:
        yield system
    finally:
        processes.stop(directory)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def deployed(directory: Path, *context: str) -> Iterator[System]:
    """The same, up. `context`: arguments of `python -m local up`."""
    with undeployed(directory) as system:
        up = system.run("up", *context)
        assert up.returncode == 0, up.stdout + up.stderr
        yield system
        system.check_permissions()


def labels() -> str:
    return ",".join(quote(label) for label in sample.LABELS)


def paste(command: list[str]) -> str:
    """What a command prints that succeeds."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
