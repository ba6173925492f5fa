"""The steps of a pause and of a resume, which a state machine calls in turn.

A pause gives the serving stack's parameter `Paused` another value, and CloudFormation deletes the endpoint. The model
and its configuration stay, which cost nothing, and so does the parameter that says which version is live: a resume
makes an endpoint of them again, and is verified as a promotion is.

Each step is given {"step", "change", "asked"} and answers {"next", "reason"}. How far it is stands in the data bucket
all the time (contract/endpoint.py), where a change that comes second finds the first one.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools import Logger

from contract.endpoint import (
    CALL_OFF,
    NO,
    NO_CAPACITY,
    PAUSED_PARAMETER,
    WAIT_LIMIT_S,
    YES,
    EndpointAsked,
    EndpointChange,
)
from contract.idempotency import now
from contract.models import Promotion
from contract.operations import SILENT, alarm_name
from contract.problems import Conflict, PreconditionFailed, ProblemError
from contract.rollout_steps import EndpointAnswer, EndpointEvent
from lambdas.aws.alarms import AlarmActions
from lambdas.aws.clients import Connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.invocations import Invocations
from lambdas.aws.s3 import Document, Store
from lambdas.aws.serving_stack import ServingStack, StackState
from lambdas.rollout.probe import fault_of
from lambdas.settings import RolloutSettings
from lambdas.stored.endpoint import Changes
from lambdas.stored.registry import Registry

logger = Logger(service="wordsight-rollout", serialize_stacktrace=False)

WAIT_LIMIT = timedelta(seconds=WAIT_LIMIT_S)

ChangeDocument = Document[EndpointChange]


class Pausing:
    """The steps, for one serving stack and its endpoint."""

    def __init__(self, settings: RolloutSettings, connect: Connect) -> None:
        self._artifacts = Store(settings.artifacts_bucket, connect)
        self._registry = Registry(self._artifacts)
        self._changes = Changes(Store(settings.data_bucket, connect))
        self._stack = ServingStack(settings.serving_stack, connect)
        self._update_role_arn = settings.update_role_arn
        self._endpoint = Endpoint(settings.endpoint_name, connect)
        self._idle = timedelta(minutes=settings.pause_after_idle_min)
        self._silent_alarm = AlarmActions(alarm_name(self._endpoint.name, SILENT), connect)
        self._invocations = Invocations(self._endpoint.name, settings.variant_name, connect)

    def step(self, event: EndpointEvent) -> EndpointAnswer:
        """Take one step. Raises ServiceUnavailable or GatewayTimeout for later."""
        if event.step == "begin":
            return self._begin(event.change, event.asked)
        newest = self._changes.newest()
        if newest is None or newest.value.id != event.change:
            if newest and (unwanted := _unwanted(newest.value, event.asked)):
                return EndpointAnswer(next="over", reason=unwanted)
            return EndpointAnswer(next="failed", reason=f"another change than {event.change} is the newest by now")
        match event.step:
            case "busy":
                return self._busy(newest, event.asked, event.reason or "something")
            case "update":
                return self._update(newest, event.asked)
            case "check":
                return self._check(newest, event.asked)
            case "verify":
                return self._verify(newest)
            case step:  # "report": a step before this one could not be taken
                return self._failed(newest, event.reason or f"the step {step!r} failed")

    def _begin(self, id: str, asked: EndpointAsked) -> EndpointAnswer:
        """Find out whether there is anything to do, and write down that it is done. A repetition goes on."""
        newest, stack = self._changes.newest(), self._stack.state()
        if newest and (unwanted := _unwanted(newest.value, asked)):
            if newest.value.id == id:
                self._note(newest, state="failed", reason=unwanted)
            return EndpointAnswer(next="over", reason=unwanted)
        if newest is None or newest.value.id != id:
            before = newest.value if newest else None
            free = before is not None and before.gives_way_to(asked.action, asked.by)
            if not free and (answer := self._not_now(newest, stack, asked)):
                return answer
            try:
                change = EndpointChange.following(before, id=id, action=asked.action, by=asked.by)
                newest = self._changes.write(change, newest)
            except PreconditionFailed:
                return EndpointAnswer(next="later")
        elif asked.by == "idle" and not newest.value.is_over and not self._is_idle(asked, None, stack):
            return self._failed(newest, "it was used while it waited for something to end")
        if asked.action == "resume":
            return EndpointAnswer(next="update")
        if stack.paused and not stack.changing:  # it called off a resume, which knew what has to come back
            self._silent_alarm.disable()
            return self._ended(newest)
        return EndpointAnswer(next="look")

    def _not_now(self, newest: ChangeDocument | None, stack: StackState, asked: EndpointAsked) -> EndpointAnswer | None:
        """Why a change is not begun after this newest one, if it is not."""
        other = newest.value if newest and not newest.value.is_over else None
        if other and other.action == asked.action and asked.by in ("request", "idle"):
            return EndpointAnswer(next="over", reason=f"{other.id} does the same")
        if other or stack.changing:
            busy = f"the {other.action} {other.id}" if other else f"a deployment ({stack.status})"
            late = f"{busy} was still at work {WAIT_LIMIT} after the {asked.action} was asked for"
            return EndpointAnswer(next="later") if _may_wait(asked) else EndpointAnswer(next="failed", reason=late)
        if stack.paused == (asked.action == "pause"):
            if newest and asked.by == "budget":
                self._note(newest, paused_by="budget")
            return EndpointAnswer(next="over", reason="it is so already")
        if asked.by == "idle" and not self._is_idle(asked, newest, stack):
            return EndpointAnswer(next="over", reason="it was used lately")
        return None

    def _is_idle(self, asked: EndpointAsked, newest: ChangeDocument | None, stack: StackState) -> bool:
        """Whether nobody has called the endpoint for so long that it may go: since it has been there, at least."""
        ends = max(datetime.fromisoformat(asked.at), datetime.now(UTC))  # which comes later where it had to wait
        begins = ends - self._idle
        resumed = newest and newest.value.action == "resume" and datetime.fromisoformat(newest.value.updated)
        if not self._idle or stack.changed > begins or (resumed and resumed > begins):
            return False
        return self._invocations.between(begins, ends) == 0

    def _busy(self, newest: ChangeDocument, asked: EndpointAsked, what: str) -> EndpointAnswer:
        """Something runs that needs the endpoint: a person is told so, everybody else waits for its end."""
        if asked.by == "request":
            return self._failed(newest, f"{what} runs")
        if not _may_wait(asked):
            return self._failed(newest, f"{what} still ran {WAIT_LIMIT} after the {asked.action} was asked for")
        if newest.value.attempt == 1:  # a later one says why it is not the first
            self._note(newest, reason=f"it waits for the end of {what}")
        return EndpointAnswer(next="later")

    def _update(self, newest: ChangeDocument, asked: EndpointAsked) -> EndpointAnswer:
        change = newest.value
        if change.action == "pause" and change.state != "updating":  # in a repetition the endpoint may be gone
            stack = self._stack.state()
            if not stack.paused:  # else it called off a resume, which knew what has to come back
                known = {"served_version": self._served_version(), "served_s3_uri": stack.model_uri}
                newest = self._note(newest, **known, paused_since=None, paused_by=None)
            self._silent_alarm.disable()
        newest = self._note(newest, state="updating", reason=change.reason if change.attempt > 1 else None)
        # with its moment: a resume that was called off and is begun once more counts its attempts anew
        token = "-".join((change.action, str(change.attempt), change.created, change.id))
        token = re.sub("[^a-zA-Z0-9]", "-", token)[:128]
        wanted = {PAUSED_PARAMETER: YES if change.action == "pause" else NO}
        try:
            begun = self._stack.update(self._update_role_arn, token, **wanted)
        except Conflict as conflict:
            return self._busy(newest, asked, f"something else ({conflict.detail})")
        return EndpointAnswer(next="wait") if begun else self._ended(newest)

    def _served_version(self) -> str | None:
        """What a resume has to bring back; None if the endpoint does not say, which is no reason to keep it."""
        try:
            return self._endpoint.version()
        except ProblemError:
            return None

    def _check(self, newest: ChangeDocument, asked: EndpointAsked) -> EndpointAnswer:
        """What has become of the update. One for which there was no instance is begun again, if it is the schedule's:
        a person is told at once, and may choose. A stack that could not be rolled back takes no other update.
        """
        change = newest.value
        stack = self._stack.state()
        if stack.changing:
            return EndpointAnswer(next="wait")
        if stack.status == "UPDATE_COMPLETE" and stack.paused == (change.action == "pause"):
            return self._ended(newest)
        failure = self._stack.first_failure() or "CloudFormation gave no reason"
        reason = f"the update was rolled back ({stack.status}): {failure}"
        as_before = stack.status == "UPDATE_ROLLBACK_COMPLETE"
        if change.action == "resume" and asked.by == "schedule" and as_before and NO_CAPACITY.search(failure):
            if _may_wait(asked):
                again = f"AWS has no instance free ({failure}), and it is tried again"
                self._note(newest, state="requested", reason=again, attempt=change.attempt + 1)
                return EndpointAnswer(next="later")
            reason = f"{reason}. It was attempt {change.attempt}, {WAIT_LIMIT} after it was asked for or later"
        return self._failed(newest, reason)

    def _ended(self, newest: ChangeDocument) -> EndpointAnswer:
        if newest.value.action == "resume":
            return EndpointAnswer(next="verify")
        if self._endpoint.exists():
            there = f"CloudFormation has let go of the endpoint, which is still there: {self._endpoint.deletion}"
            return self._failed(newest, there)
        since = newest.value.paused_since or now()
        self._note(newest, state="paused", reason=None, paused_since=since, paused_by=newest.value.by)
        return EndpointAnswer(next="over")

    def _verify(self, newest: ChangeDocument) -> EndpointAnswer:
        newest = self._note(newest, state="verifying", reason=None)
        live = self._stack.state().model_uri
        # Another model may have been deployed meanwhile.
        before = newest.value.served_version if newest.value.served_s3_uri == live else None
        model = self._registry.at(live)
        meant = Promotion(
            id=newest.value.id,
            version=model.version if model else live,
            artifact_s3_uri=live,
            served_version=before or (model.served_version if model else None),
            created=newest.value.created,
        )
        if fault := fault_of(meant, None, self._artifacts, self._endpoint):
            return self._failed(newest, f"there is an endpoint again, but {fault}")
        self._silent_alarm.enable()
        self._note(newest, state="in service", paused_since=None, paused_by=None)
        return EndpointAnswer(next="resumed")

    def _failed(self, newest: ChangeDocument, reason: str) -> EndpointAnswer:
        change = newest.value
        logger.warning(f"{change.action} failed", change=change.id, by=change.by, reason=reason)
        since: dict[str, str | None] = {}
        with suppress(ProblemError):  # AWS is silent, which may be why it failed
            if not self._stack.state().paused:
                since = {"paused_since": None, "paused_by": None}
                self._silent_alarm.enable()
            elif change.paused_since is None:  # what is left of the endpoint is told of in the reason
                since = {"paused_since": now(), "paused_by": change.by}
        self._note(newest, state="failed", reason=reason, **since)
        return EndpointAnswer(next="failed", reason=reason)

    def _note(self, newest: ChangeDocument, **changes: str | int | None) -> ChangeDocument:
        change = newest.value.model_copy(update={**changes, "updated": now()})
        written = self._changes.write(change, newest)
        if "state" in changes:
            logger.info(change.state, action=change.action, change=change.id, by=change.by)
        return written


def _unwanted(newest: EndpointChange, asked: EndpointAsked) -> str | None:
    """Why a resume by the schedule is not wanted any more, if it is not: asked before each of its attempts."""
    if asked.by != "schedule" or asked.action != "resume":
        return None
    called_off = newest.action == "pause" and newest.by in CALL_OFF
    if called_off and datetime.fromisoformat(newest.created) > datetime.fromisoformat(asked.at):
        return f"the pause {newest.id} was asked for after it"
    return "its budget of this month is spent" if _is_spent(newest, asked) else None


def _is_spent(change: EndpointChange, asked: EndpointAsked) -> bool:
    """Whether it was the budget of the present month (UTC) that paused the stage: AWS tells of one only once."""
    if change.paused_by != "budget" or change.paused_since is None:
        return False
    since, at = (datetime.fromisoformat(each).astimezone(UTC) for each in (change.paused_since, asked.at))
    return (since.year, since.month) == (at.year, at.month)


def _may_wait(asked: EndpointAsked) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(asked.at) < WAIT_LIMIT


def refusal(changes: Changes, stack: StackState) -> str | None:
    """Why no version can go live now, if the stage is paused or about to be."""
    found = changes.standing()
    if found is None and stack.paused:  # by hand, as a deployment's parameter
        return "the stage is paused: POST /endpoint/resume first"
    if found is None or (found.state == "paused" and not stack.paused):  # brought back by hand
        return None
    return found.sentence
