"""A month that is simulated."""

from datetime import datetime
from pathlib import Path

from operate.month import MINUTES, OFFICE, RESUME_MIN, Policy, simulated, table


def never(at: datetime) -> bool:
    return False


def at_noon(at: datetime) -> bool:
    return (at.hour, at.minute) == (12, 0)


def test_without_a_pause_the_whole_month_is_paid_for() -> None:
    assert simulated(never, Policy("nothing"), 1.0).minutes == MINUTES


def test_office_hours_are_paid_for_and_the_first_week_ends_its_night_before_them() -> None:
    weekdays = 22  # of thirty days that begin with a Monday
    month = simulated(never, Policy("office hours", office_hours=OFFICE), 1.0)
    assert month.hours == 19 + (weekdays - 1) * 12


def test_what_nobody_uses_is_paused_until_somebody_asks_and_that_call_is_refused() -> None:
    month = simulated(at_noon, Policy("idle", pause_after_idle_min=30), 1.0)
    assert (month.calls, month.refused, month.resumes) == (30, 30, 30)
    assert month.minutes == 30 + 30 * (RESUME_MIN + 30 + 7)  # it is looked every 15 minutes
    assert simulated(never, Policy("idle", pause_after_idle_min=30), 1.0).minutes == 30


def test_a_spent_budget_ends_the_month_and_nobody_resumes_it() -> None:
    month = simulated(at_noon, Policy("budget", monthly_budget_usd=100), usd_per_hour=1.0)
    assert month.hours == 100 and month.resumes == 0
    assert month.refused == 26  # at the fifth noon, 108 hours were up


def test_the_table_in_the_documents_is_what_it_prints() -> None:
    assert table() in (Path(__file__).parents[2] / "docs/operate.md").read_text(encoding="utf-8")
