"""What rings is told in docs/operate.md, row by row."""

from pathlib import Path

import pytest

from contract.operations import ALARMS, PANELS, Alarm

GUIDE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")


def row(alarm: Alarm) -> str:
    remedy = alarm.remedy.format(stage="dev").replace("|", "\\|")
    return f"| `{alarm.id}` | {alarm.means} | {remedy} |"


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.id)
def test_the_guide_says_of_every_alarm_what_it_means_and_what_to_do(alarm: Alarm) -> None:
    assert "## What rang" in GUIDE
    assert row(alarm) in GUIDE.splitlines()


def test_no_alarm_adds_up_figures_of_different_things() -> None:
    assert all(len({figure.of for figure in alarm.figures}) == 1 for alarm in ALARMS)


def test_every_figure_that_rings_but_the_endpoints_silence_is_on_the_dashboard() -> None:
    shown = {figure for figures in PANELS.values() for figure in figures}
    off = {figure.title for alarm in ALARMS for figure in alarm.figures if figure not in shown}
    assert off == {"minutes in which an instance reported"}  # processor load is shown, which says the same
