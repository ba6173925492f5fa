"""The commands on systems in a bad state; tests/e2e runs them on a whole one."""

import os
import shutil
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from local import __main__ as commands
from local import processes
from local.bases import Base
from local.deployment import Deployment
from local.settings import (
    DIRECTORY_VARIABLE,
    PORT_VARIABLE,
    PROCESS_MARK,
    LocalError,
    LocalSettings,
    client_environment,
)
from tests.local.conftest import ROOT
from tests.small_disk import needs_a_small_disk, run_on_a_small_disk

pytestmark = pytest.mark.slow

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]

WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], boto3.Session().region_name)"


@pytest.fixture
def silent(settings: LocalSettings) -> Iterator[subprocess.Popen[bytes]]:
    """An emulator's process that lives and never answers."""
    with subprocess.Popen(SLEEP, env={**os.environ, PROCESS_MARK: str(settings.directory)}) as process:
        with processes.exclusive(settings):
            settings.pid_file.write_text(str(process.pid))
            settings.port_file.write_text(str(settings.port))
        while process.pid not in processes.running(settings.directory):
            time.sleep(0.01)  # Popen returns a moment before the kernel shows a new program's environment
        yield process
        process.kill()


@pytest.fixture
def emulator(settings: LocalSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A real one, with this process's AWS clients pointed at it."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # another test's has other credentials
    for name, value in client_environment(settings, os.environ).items():
        monkeypatch.setenv(name, value)
    with processes.exclusive(settings):
        process = processes.start(settings)
    yield process
    processes.stop(settings.directory)
    process.wait()


def test_destroying_a_hung_system_ends_it_and_says_that_cdk_destroyed_nothing(
    settings: LocalSettings, silent: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.destroy(replace(settings, answer_timeout_s=0.2), Namespace()) == 1
    assert f"process {silent.pid} lives, but has not answered" in (complaint := capsys.readouterr().err)
    assert "The stacks were not destroyed by CDK" in complaint
    assert silent.wait() < 0
    assert not settings.directory.exists()


def test_up_leaves_a_hung_system_alone(settings: LocalSettings, silent: subprocess.Popen[bytes]) -> None:
    with pytest.raises(LocalError, match="wait and try again"):
        commands.up(replace(settings, answer_timeout_s=0.2), Namespace(context=[], base=None))
    assert silent.poll() is None


def test_destroy_ends_a_system_whose_folder_was_removed(
    settings: LocalSettings, silent: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(settings.directory)
    assert commands.destroy(settings, Namespace()) == 1
    assert "had been removed while 1 process(es) ran" in capsys.readouterr().err
    assert silent.wait() < 0
    assert not settings.directory.exists()


def test_destroy_after_a_first_synth_that_failed_has_nothing_to_complain_about(
    settings: LocalSettings, emulator: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.destroy(settings, Namespace()) == 0
    assert capsys.readouterr().err == ""


def test_destroy_of_nothing_says_so(settings: LocalSettings, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.destroy(settings, Namespace()) == 0
    assert "nothing is left to remove" in capsys.readouterr().out


def test_destroy_says_so_if_somebody_elses_program_holds_the_port(
    settings: LocalSettings, silent: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        commands.destroy(replace(settings, answer_timeout_s=0.2), Namespace())
    assert f"port {settings.port} is held by a program that is not ours" in capsys.readouterr().out


def test_status_of_a_system_without_stacks_is_not_healthy(
    settings: LocalSettings, emulator: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.status(settings, Namespace()) == 1
    assert "the app is not deployed" in capsys.readouterr().out


def test_another_stage_is_refused_before_anything_starts(settings: LocalSettings) -> None:
    with pytest.raises(LocalError, match=r"'prod', and local mode runs 'dev' only.*make synth STAGE=prod"):
        commands.up(settings, Namespace(context=["stage=prod"], base=None))
    assert not settings.directory.exists()


def test_the_model_of_the_images_for_aws_is_not_taken_for_that_of_this_machine(settings: LocalSettings) -> None:
    with pytest.raises(LocalError, match=r"model_id is of the images .* for AWS. Here give: make local MODEL="):
        commands.up(settings, Namespace(context=["model_id=openai/clip-vit-base-patch32"], base=None))


def test_a_model_that_there_is_not_is_a_sentence_before_anything_starts(tmp_path: Path) -> None:
    environment = {**os.environ, DIRECTORY_VARIABLE: str(tmp_path / "local")}
    command = [sys.executable, "-m", "local", "up", "--model", str(tmp_path / "none")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no folder" in done.stderr
    assert not (tmp_path / "local").exists()


def test_a_shell_that_evaluates_env_reaches_the_emulator_and_no_account(
    settings: LocalSettings, emulator: subprocess.Popen[bytes]
) -> None:
    own = {"WORDSIGHT_LOCAL_DIR": str(settings.directory), "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "real"}
    script = f'eval "$({sys.executable} -m local env)" && {sys.executable} -c "{WHO_AM_I}"'
    environment = {"PATH": os.environ["PATH"], **own}
    shell = subprocess.run(
        ["sh", "-c", script], cwd=settings.repository, env=environment, capture_output=True, text=True
    )
    assert shell.stdout.split() == ["000000000000", "us-east-1"], shell.stderr


@needs_a_small_disk
def test_up_on_a_full_disk_says_so(settings: LocalSettings) -> None:
    settings.directory.mkdir()
    settings.owner_mark.touch()
    (settings.directory / "filler").write_bytes(bytes(8192))
    environment = {**os.environ, DIRECTORY_VARIABLE: str(settings.directory), PORT_VARIABLE: str(settings.port)}
    done = run_on_a_small_disk(settings.directory, 8192, [sys.executable, "-m", "local", "up"], environment)
    assert done.returncode == 1
    assert "The disk is full: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_of_ones_own_is_said_to_be_the_one_that_answers_and_how_to_go_back(tmp_path: Path) -> None:
    nowhere, base = Deployment("http://127.0.0.1:9", None, False, "endpoint"), Base("somebody/clip", "0" * 40, tmp_path)
    assert "make local MODEL=openai/clip-vit-base-patch32" in commands.knowledge(nowhere, None)
    assert commands.knowledge(nowhere, base).endswith("comes back with: make local")
