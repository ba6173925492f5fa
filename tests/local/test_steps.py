"""Steps as a person sees them, on a terminal and in a log."""

import io

import pytest

from local.steps import step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_per_short_step() -> None:
    log = io.StringIO()
    with step("deploy", log):
        pass
    (name, seconds, unit) = log.getvalue().split()
    assert (name, unit, float(seconds) >= 0, log.getvalue().count("\n")) == ("deploy", "s", True, 1)


def test_a_terminal_line_is_rewritten_in_place() -> None:
    terminal = Terminal()
    with step("deploy", terminal) as deploying:
        deploying("the API stack")
    assert terminal.getvalue().startswith("\r")
    assert terminal.getvalue().endswith("s\n")


def test_a_failed_step_still_says_how_far_it_came() -> None:
    log = io.StringIO()
    with pytest.raises(KeyError), step("deploy", log) as deploying:
        deploying("WordsightData-dev is done")
        raise KeyError
    assert log.getvalue().endswith("WordsightData-dev is done\n")
