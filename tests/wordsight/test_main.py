import importlib
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.wordsight.conftest import ROOT, started
from wordsight.__main__ import COMMANDS, VERSION, main, parser, program


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])
    assert "--json" in capsys.readouterr().out


def test_where_nothing_answers_the_command_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--url", "http://127.0.0.1:1/v1"], {}) == 1
    assert capsys.readouterr().err.startswith("nothing answers at 127.0.0.1:1")


def test_its_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out == f"wordsight {VERSION}\n"


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = started("http://127.0.0.1:1", "completion", "bash", stdout=full)
        _, err = process.communicate()
    assert (process.returncode, err.decode().splitlines()) == (1, ["[Errno 28] No space left on device"])


def test_what_pip_installs_starts_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["wordsight"].partition(":")
    assert getattr(importlib.import_module(module), name) is program
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    needed = {name for name in sys.modules if name.split(".")[0] in ("wordsight", "contract")}
    assert all(any(fnmatch(name, pattern) for pattern in patterns) for name in needed)
