"""The CLI itself runs: node from the wheel, the package from node_modules, the environment of local mode."""

from pathlib import Path

import pytest

from local import cdk
from local.settings import LocalError, LocalSettings


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
