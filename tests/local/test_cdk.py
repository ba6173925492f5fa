"""The CLI itself runs: node from the wheel, the package from node_modules, the environment of local mode."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local import cdk
from local.settings import CONTEXT, PROCESS_MARK, LocalError, LocalSettings

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _directory(settings: LocalSettings) -> None:
    settings.directory.mkdir()


def test_the_pinned_cli_runs_and_its_output_is_kept(settings: LocalSettings) -> None:
    cdk.run(settings, ["--version"])
    assert settings.cdk_log.read_text().splitlines()[1].startswith("2.1148.1")


def test_a_failed_command_shows_the_telling_lines_and_names_the_log(settings: LocalSettings, tmp_path: Path) -> None:
    app = tmp_path / "app.sh"
    app.write_text("echo all is well so far\necho 'ValueError: stage must be dev or prod' >&2\nexit 1\n")
    with pytest.raises(LocalError) as failure:
        cdk.run(settings, ["synth", "--app", f"sh {app}"], directory=tmp_path)
    assert "ValueError: stage must be dev or prod" in str(failure.value)
    assert "all is well" not in str(failure.value)
    assert str(settings.cdk_log) in str(failure.value)


def test_local_mode_has_a_context_of_its_own_and_what_is_asked_for_comes_first(
    settings: LocalSettings, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(settings.repository / "node_modules")
    (tmp_path / "app.sh").write_text('echo "$CDK_CONTEXT_JSON" > context.json\nexit 1\n')
    (tmp_path / "cdk.json").write_text('{"app": "sh app.sh"}')
    with pytest.raises(LocalError):
        cdk.synth(replace(settings, repository=tmp_path), ["throttling_burst=7", "auth=none"])
    context = json.loads((tmp_path / "context.json").read_text())
    known = {**CONTEXT, "throttling_burst": "7", "auth": "none"}
    assert {name: context[name] for name in known} == known


def test_a_command_ends_soon_after_the_emulator_it_talks_to(settings: LocalSettings) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", settings.port))
        silent.listen()
        emulator = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(3)"],
            env={**os.environ, PROCESS_MARK: str(settings.directory)},
        )
        settings.pid_file.write_text(str(emulator.pid))
        with pytest.raises(LocalError, match="The emulator ended while cdk bootstrap was running"):
            cdk.bootstrap(settings)
    emulator.wait()
