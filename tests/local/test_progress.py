import io

import pytest

from local.progress import step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_per_short_step() -> None:
    log = io.StringIO()
    with step("deploy", log):
        pass
    assert log.getvalue().split() == ["deploy", "0.0", "s"]


def test_a_terminal_line_is_rewritten_in_place() -> None:
    terminal = Terminal()
    with step("deploy", terminal) as deploying:
        deploying.detail = "the API stack"
    assert terminal.getvalue().startswith("\r")
    assert terminal.getvalue().endswith("s\n")


def test_a_failed_step_still_says_how_far_it_came() -> None:
    log = io.StringIO()
    with pytest.raises(KeyError), step("deploy", log) as deploying:
        deploying.detail = "WordsightData-dev is done"
        raise KeyError
    assert log.getvalue().endswith("WordsightData-dev is done\n")
