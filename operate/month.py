"""What a month costs that is paused by its schedule, when nobody uses it, or when its budget is spent: a simulation.

python -m operate.month        the table of docs/operate.md

A clock goes through four weeks and two days from a Monday, minute by minute. Office hours, the idle detector's look and
its rule are those of a stage; the traffic is made up. Who finds the stage paused resumes it, unless the budget paused
it, and asks again when it is back. An instance is paid for from the minute in which it is asked for; a function for
the time of its calls, of one image each, as if each found it cold.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from stacks.config import IDLE_LOOK_MIN, StageConfig
from stacks.office_hours import DAYS, OfficeHours
from stacks.prices import function_usd_per_image
from stacks.stage_files import stage_config

FROM = datetime(2026, 6, 1)  # a Monday
MINUTES = 30 * 24 * 60
RESUME_MIN = 8
"""Until an endpoint is in service: 5 to 10 minutes, as SageMaker's users report."""
STAGES = ("dev", "prod")


class Policy(NamedTuple):
    """What pauses a stage, by the knobs of stacks/config.py that say so."""

    name: str
    office_hours: str = ""
    pause_after_idle_min: int = 0
    monthly_budget_usd: float = 0


OFFICE = "Mon-Fri 07:00-19:00 UTC"
POLICIES = (
    Policy("nothing"),
    Policy(f'`office_hours = "{OFFICE}"`', office_hours=OFFICE),
    Policy("`pause_after_idle_min = 30`", pause_after_idle_min=30),
    Policy("both", office_hours=OFFICE, pause_after_idle_min=30),
    Policy("`monthly_budget_usd = 100`", monthly_budget_usd=100),
)


@dataclass
class Month:
    """What became of one. A call is `refused` that finds no endpoint; `resumes` are those by callers."""

    minutes: int = 0
    calls: int = 0
    refused: int = 0
    resumes: int = 0

    @property
    def hours(self) -> float:
        """In which instances are paid for."""
        return self.minutes / 60


def day_and_night(at: datetime) -> bool:
    """Somebody's program asks every ten minutes."""
    return at.minute % 10 == 0


def office(at: datetime) -> bool:
    """People ask on weekdays from nine to five, every four minutes."""
    return at.weekday() < 5 and 9 <= at.hour < 17 and at.minute % 4 == 0


def now_and_then(at: datetime) -> bool:
    """Two afternoons a week, for an hour and a half."""
    return at.weekday() in (1, 3) and 14 <= at.hour + at.minute / 60 < 15.5


TRAFFIC: dict[str, Callable[[datetime], bool]] = {
    "day and night, every 10 minutes": day_and_night,
    "weekdays from nine to five": office,
    "two afternoons a week": now_and_then,
}


def simulated(is_asked: Callable[[datetime], bool], policy: Policy, usd_per_hour: float) -> Month:
    """A month of calls under a policy."""
    month, hours = Month(), OfficeHours.read(policy.office_hours)
    is_up, back_at, used_at = True, FROM, FROM
    for minute in range(MINUTES):
        at = FROM + timedelta(minutes=minute)
        is_spent = 0 < policy.monthly_budget_usd <= month.hours * usd_per_hour
        if hours and at.time() == hours.ends:
            is_up = False
        if hours and at.time() == hours.begins and DAYS[at.weekday()] in hours.days and not is_spent and not is_up:
            is_up, back_at, used_at = True, at + timedelta(minutes=RESUME_MIN), at
        idle_min = policy.pause_after_idle_min
        if idle_min and minute % IDLE_LOOK_MIN == 0 and at - max(used_at, back_at) >= timedelta(minutes=idle_min):
            is_up = False
        if is_spent:
            is_up = False
        if is_asked(at):
            month.calls += 1
            if not is_up or at < back_at:
                month.refused += 1
            if not is_up and not is_spent:
                month.resumes += 1
                is_up, back_at = True, at + timedelta(minutes=RESUME_MIN)
            used_at = at
        month.minutes += is_up
    return month


def table() -> str:
    """Of every traffic under every policy, as markdown."""
    prices = [stage_config(stage).endpoint_usd_per_hour or 0.0 for stage in STAGES]
    memory_mb = StageConfig(stage=STAGES[0]).function_memory_mb
    cold = function_usd_per_image(memory_mb, starting=True)
    head = [
        "traffic",
        "what pauses it",
        *(f"`{stage}`, a month" for stage in STAGES),
        "calls that found it paused",
        '`serving = "lambda"`, always cold',
    ]
    rows = [head, ["---"] * len(head)]
    for traffic, is_asked in TRAFFIC.items():
        for policy in POLICIES:
            months = [simulated(is_asked, policy, price) for price in prices]
            costs = [f"${month.hours * price:,.0f}" for month, price in zip(months, prices, strict=True)]
            found = [f"{month.refused / month.calls:.0%}" for month in months]
            if policy.monthly_budget_usd == 0:
                found = found[:1]
            # Nothing pauses it: there is nothing to save.
            instead = f"${months[0].calls * cold:.2f}" if policy == POLICIES[0] else ""
            rows.append([traffic, policy.name, *costs, " / ".join(found), instead])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
