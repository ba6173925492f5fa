"""The endpoint's pauses: a stage stops costing, and comes back with the version that was live. What is said of it until
then.

One document in the data bucket tells of the newest change. Whoever must explain why there is no endpoint reads it then
and only then; what counts is the serving stack's parameter `Paused`, of which CloudFormation makes an endpoint or none.
"""

import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Self

from pydantic import ConfigDict, Field

from contract.deferred import Deferred
from contract.idempotency import now
from contract.problems import ServiceUnavailable
from contract.validation import Stored

ENDPOINT_PREFIX = "endpoint/"
"""Where in the data bucket the document is: every function that asks the endpoint knows that bucket."""
CHANGE_KEY = f"{ENDPOINT_PREFIX}change.json"

PAUSED_PARAMETER = "Paused"
"""Of the serving stack: whether it has no endpoint."""
YES, NO = "yes", "no"

Action = Literal["pause", "resume"]
AskedBy = Literal["request", "schedule", "idle", "budget"]
ChangeState = Literal["requested", "updating", "verifying", "paused", "in service", "failed"]
OVER: frozenset[ChangeState] = frozenset({"paused", "in service", "failed"})

WAIT_LIMIT_S = 2 * 3600
"""How long a pause that no person waits for lets what runs end first, and how long a resume by the schedule is tried
again while AWS has no instance free."""
LATER_S = 300
"""Until it is looked again whether what runs has ended, or whether AWS has an instance free."""
UPDATE_LIMIT_S = 160 * 60
"""What CloudFormation takes at most for an endpoint."""
LIMIT_S = WAIT_LIMIT_S + LATER_S + UPDATE_LIMIT_S + 900
"""No change is at work for longer: the last wait may begin just before there is no more waiting, and the steps
themselves take some minutes."""

NO_CAPACITY = re.compile(
    "InsufficientInstanceCapacity|Unable to provision requested ML compute capacity|CapacityError|InsufficientCapacity"
)
"""In what SageMaker or CloudFormation says where AWS has no such instance free."""

CALL_OFF: frozenset[AskedBy] = frozenset({"request", "budget"})
"""Whose pause does not wait for a resume that waits for an instance. The schedule's has time, and nobody's use of an
endpoint that is to come back says nothing."""

RETRY_AFTER_S = 60
"""Of a call to a stage that is paused; nothing is back sooner."""
RESUME = "POST /endpoint/resume (make resume, wordsight resume)"
USUALLY = "usually within 10 minutes"

_WHO: dict[AskedBy, str] = {
    "request": "as somebody asked for",
    "schedule": "by its schedule (office_hours)",
    "idle": "as nobody used it (pause_after_idle_min)",
    "budget": "as its budget is spent (monthly_budget_usd)",
}


class EndpointAsked(Deferred):
    """What an execution that pauses or resumes a stage is given. `at`: when it was asked for, ISO 8601, by which it is
    judged whether the endpoint was used lately, and whether waiting has an end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    by: AskedBy
    at: str


class EndpointChange(Stored):
    """One pause or resume."""

    id: str
    action: Action = Field(description="What is to be done")
    by: AskedBy = "request"
    created: str
    updated: str = Field(description="When its state was last written down")
    state: ChangeState = "requested"
    reason: str | None = Field(default=None, description="Why it failed, or what it waits for")
    attempt: int = Field(default=1, description="A resume by the schedule that finds no instance is tried again")
    paused_since: str | None = Field(default=None, description="While there is no endpoint: since when")
    paused_by: AskedBy | None = Field(default=None, description="And who had it paused")
    served_version: str | None = Field(default=None, description="What the endpoint called its model before the pause")
    served_s3_uri: str | None = Field(default=None, description="And that model's checkpoint")

    @classmethod
    def following(cls, before: Self | None, *, id: str, action: Action, by: AskedBy) -> Self:
        """A new one, which knows what the one before knew of the pause."""
        known = (
            before.model_dump(include={"paused_since", "paused_by", "served_version", "served_s3_uri"})
            if before
            else {}
        )
        return cls(id=id, action=action, by=by, created=now(), updated=now(), **known)

    @property
    def is_over(self) -> bool:
        """Whether nothing is at work any more."""
        age_s = (datetime.now(UTC) - datetime.fromisoformat(self.created)).total_seconds()
        return self.state in OVER or age_s > LIMIT_S

    def gives_way_to(self, action: Action, by: AskedBy) -> bool:
        """Whether that may take its place: this is a resume that waits for its next attempt, and nothing runs."""
        waits = self.action == "resume" and self.state == "requested" and self.attempt > 1
        return waits and action == "pause" and by in CALL_OFF


EndpointState = Literal["in service", "pausing", "paused", "resuming", "changing"]


class EndpointView(Deferred):
    """The answer of GET /endpoint."""

    state: EndpointState = Field(description="`changing`: a deployment or a promotion is under way")
    detail: str | None = Field(description="What a call is told that needs the endpoint, if it is not in service")
    since: str | None = Field(description="Of a paused stage")
    by: AskedBy | None = Field(description="Who had a paused stage paused")
    version: str | None = Field(description="Which version is live, or will be again; null: it was never registered")
    model_s3_uri: str = Field(description="Its checkpoint")
    usd_per_hour: float | None = Field(
        description="What its instances cost now, on demand in us-east-1; null: the price is not known"
    )
    usd_per_hour_in_service: float | None = Field(description="And what they cost while it is not paused")
    change: EndpointChange | None = Field(description="The newest pause or resume")


class Standing(NamedTuple):
    """How a stage is that has no endpoint, or not for long."""

    state: Literal["pausing", "paused", "resuming"]
    sentence: str


class Paused(ServiceUnavailable):
    """The endpoint is not there because somebody wanted it so. Not worth another attempt soon."""

    slug, title = "paused", "The stage is paused"

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.sentence, retry_after_s=RETRY_AFTER_S)
        self.state = standing.state

    def body(self, instance: str | None = None) -> dict[str, object]:
        """As of any problem, and `state`."""
        return {**super().body(instance), "state": self.state}


def standing(change: EndpointChange | None) -> Standing | None:
    """What the newest change makes of the stage; None if there should be an endpoint as ever."""
    if change is None:
        return None
    if change.action == "resume" and not change.is_over:
        how = f": {change.reason}" if change.reason else f", {USUALLY}"
        return Standing("resuming", f"the stage was paused and is being resumed since {change.created}{how}")
    if change.action == "pause" and not change.is_over:
        return Standing("pausing", f"the stage is being paused, {_WHO[change.by]}. When it is, {RESUME} brings it back")
    if change.paused_since is None:
        return None
    who = _WHO[change.paused_by or "request"]
    if change.action == "pause":
        how = f"{RESUME} brings back the version that was live, {USUALLY}"
    else:
        how = f"resuming it failed at {change.updated} ({change.reason}), {RESUME} tries again"
    return Standing("paused", f"the stage is paused since {change.paused_since}, {who}: {how}")
