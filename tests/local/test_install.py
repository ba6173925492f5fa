"""Package managers whose many lines become one: the log has the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.install import Pip, install
from tests.local.conftest import ROOT

PIP = """
print("Collecting torch==2.13.0 (from -r requirements.txt)")
print("  Downloading https://x/torch-2.13.0-cp311-linux.whl (190.1 MB)")
print("Progress 19000000 of 190000000")
print("Installing collected packages: torch, numpy")
print("Successfully installed")
"""


def test_what_is_said_tells_how_far_it_is_and_all_but_the_progress_is_for_the_log() -> None:
    told: list[str] = []
    pip = Pip(told.append)
    kept = [pip.hear(line) for line in (
        "Collecting torch==2.13.0",
        "Downloading https://x/torch-2.13.0-cp311-linux.whl (190.1 MB)",
        "Progress 19000000 of 190000000",
        "Installing collected packages: torch, numpy",
        "Successfully installed torch",
    )]  # fmt: skip
    assert kept == [True, True, False, True, True]
    assert told[:2] == ["1 packages", "1 packages, torch (190.1 MB)"]
    assert told[2:] == ["1 packages, torch: 19 of 190 MB", "unpacking 2 packages"]


def test_one_line_is_shown_and_the_log_has_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "new/install.log"
    assert install("the packages", log, [sys.executable, "-c", PIP]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1 and "install the packages" in shown and "Collecting" not in shown
    lines = log.read_text().splitlines()
    assert "Successfully installed" in lines and "Progress 19000000 of 190000000" not in lines


def test_a_failure_shows_the_end_of_what_was_said_and_where_the_rest_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "for n in range(50): print('line', n)\nimport sys; sys.exit('ERROR: no such package')"
    assert install("the packages", tmp_path / "log", [sys.executable, "-c", program]) == 1
    said = capsys.readouterr().err
    assert "To install the packages failed" in said and "ERROR: no such package" in said
    assert "line 3\n" not in said and "line 3\n" in (tmp_path / "log").read_text()
    assert str(tmp_path / "log") in said


def test_a_program_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("the packages", tmp_path / "log", ["no-such-npm", "ci"]) == 127
    assert "no-such-npm is not there" in capsys.readouterr().err


def test_it_needs_nothing_that_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import local.install"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
