import re
from datetime import time

import pytest

from contract.settings import SettingsError
from stacks.config import StageConfig
from stacks.office_hours import PATTERN, OfficeHours
from stacks.stage_files import from_context


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri 07:00-19:00 Europe/Berlin", ("Mon", "Tue", "Wed", "Thu", "Fri")),
        ("Sat 07:00-19:00 America/Argentina/Buenos_Aires", ("Sat",)),
        ("Sat-Sun 07:00-19:00 UTC", ("Sat", "Sun")),
    ],
)
def test_days_hours_and_a_time_zone_are_read(text: str, days: tuple[str, ...]) -> None:
    assert re.match(PATTERN, text)
    assert OfficeHours.read(text) == (days, time(7), time(19), text.split(" ")[2])


def test_without_any_a_stage_is_always_open() -> None:
    assert OfficeHours.read("") is None and StageConfig(stage="dev").office_hours == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Fri-Mon 07:00-19:00 UTC", "the days end before they begin"),
        ("Mon-Fri 19:00-07:00 UTC", "the hours end before they begin"),
        ("Mon-Fri 07:00-07:00 UTC", "the hours end before they begin"),
        ("Mon-Fri 07:00-19:00 Europe/Bonn", "'Europe/Bonn' is no time zone, allowed is one such as Europe/Berlin"),
        ("Mon-Fri 07:00-24:00 UTC", "allowed: empty, or days, hours and a time zone"),
        ("weekdays 7-19", 'such as "Mon-Fri 07:00-19:00 Europe/Berlin"'),
    ],
)
def test_what_no_week_has_stops_synth_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as refused:
        from_context({"stage": "dev", "office_hours": text})
    assert str(refused.value).startswith(f"office_hours is {text!r}")


@pytest.mark.parametrize(("minutes", "allowed"), [("0", True), ("15", True), ("14", False), ("-1", False)])
def test_a_stage_is_not_idle_before_a_new_endpoint_could_have_come(minutes: str, allowed: bool) -> None:
    if allowed:
        assert from_context({"stage": "dev", "pause_after_idle_min": minutes}).pause_after_idle_min == int(minutes)
        return
    with pytest.raises(SettingsError, match=f"pause_after_idle_min is '?{minutes}'?, allowed: 0"):
        from_context({"stage": "dev", "pause_after_idle_min": minutes})
