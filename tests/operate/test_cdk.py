import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from operate.builder import REPOSITORY
from operate.cdk import cdk_command, run_cdk


def test_a_command_names_the_stage_its_knobs_and_this_python() -> None:
    command = cdk_command("destroy", "dev", ["auth=iam"], "--force")
    assert command[0] == str(REPOSITORY / "node_modules/.bin/cdk")
    assert command[1:3] == ["destroy", "--all"] and "--force" in command
    assert shlex.split(command[command.index("--app") + 1]) == [sys.executable, "app.py"]
    assert command[-4:] == ["--context", "auth=iam", "--context", "stage=dev"]


def test_the_pinned_cli_knows_every_option_of_it() -> None:
    """The CLI does not refuse an option that it does not know."""
    for verb, options in (("deploy", ["--method", "--require-approval"]), ("destroy", ["--force"])):
        told = subprocess.run([cdk_command("deploy", "dev", [])[0], verb, "--help"], capture_output=True, text=True)
        assert [each for each in ("--app", "--all", "--context", *options) if each not in told.stdout] == []


def test_it_is_run_where_the_app_is_and_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cdk(["test", "-f", "app.py"]) == 0
    assert run_cdk(["test", "-f", "app.py"], folder=tmp_path) == 1
