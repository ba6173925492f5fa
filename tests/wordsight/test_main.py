from pathlib import Path

import pytest

from wordsight.__main__ import COMMANDS, main, parser
from wordsight.api import CommandError
from wordsight.connection import connect


def test_flags_come_before_the_environment_and_that_before_what_runs_here(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://local/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    environ = {"WORDSIGHT_URL": "http://env/v1", "WORDSIGHT_API_KEY": "env-key"}
    found = [
        connect("http://flag/v1", "flag-key", environ, tmp_path),
        connect(None, None, environ, tmp_path),
        connect(None, None, {}, tmp_path),
    ]
    assert [(each.url, each.key) for each in found] == [
        ("http://flag/v1", "flag-key"),
        ("http://env/v1", "env-key"),
        ("http://local/v1", "local-key"),
    ]


def test_without_any_of_them_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="give --url and --api-key, or set WORDSIGHT_URL and WORDSIGHT_API_KEY"):
        connect(None, None, {}, tmp_path)


def test_the_key_of_this_machine_is_not_sent_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://local/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    assert connect("http://elsewhere/v1", None, {}, tmp_path).key == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])
    assert "--json" in capsys.readouterr().out


def test_where_nothing_answers_the_command_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--url", "http://127.0.0.1:1/v1"], {}) == 1
    assert capsys.readouterr().err.startswith("nothing answers at 127.0.0.1:1")
