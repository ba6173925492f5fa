import pytest

from wordsight.__main__ import COMMANDS, main, parser


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])
    assert "--json" in capsys.readouterr().out


def test_where_nothing_answers_the_command_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--url", "http://127.0.0.1:1/v1"], {}) == 1
    assert capsys.readouterr().err.startswith("nothing answers at 127.0.0.1:1")
