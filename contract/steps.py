"""Steps of the state machines: the events that they send to Lambda functions, and the answers that they read; of
trainings in `contract/training_steps.py`.

Each handler parses its event with the model here, and a test walks every machine's definition with the same models: a
field that is renamed on one side only fails there, not in an execution.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_pascal

from contract.deferred import Deferred
from contract.endpoint import Action, AskedBy
from contract.texts import same_to_the_model

MAX_EVENT_CHARS = 16_000
"""Of labels in an event for which nobody waits. Lambda takes 256 KB, and JSON may write a character as twelve bytes:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

_LATER = ConfigDict(defer_build=True)


class Step(Deferred):
    """What is sent, or answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfAWS(Deferred):
    """An object of AWS's, by the members that are read; AWS may add others."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class CaughtError(OfAWS):
    """What a Catch makes of a failure: its error's name and cause, which is JSON where a function raised.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    error: str = ""
    cause: str = ""


class RolloutEvent(Step):
    """A step of the promotion with the id `promotion`; `reason`: why the one before `report` could not be taken."""

    step: Literal["update", "check", "verify", "report"]
    promotion: str
    reason: str | None = None


class RolloutAnswer(Step):
    """What comes next: waiting for CloudFormation, verifying, or an end."""

    next: Literal["wait", "verify", "live", "failed"]
    reason: str = ""


class EndpointAsked(Step):
    """What an execution that pauses or resumes a stage is given. `at`: when it was asked for, ISO 8601, by which it is
    judged whether the endpoint was used lately, and whether waiting has an end.
    """

    action: Action
    by: AskedBy
    at: str


class EndpointEvent(Step):
    """A step of the change with the id `change`. `reason`: what has to end before, or why a step could not be taken."""

    step: Literal["begin", "busy", "update", "check", "verify", "report"]
    change: str
    asked: EndpointAsked
    reason: str | None = None


class EndpointAnswer(Step):
    """What comes next: looking whether anything runs that needs the endpoint, beginning again later, updating, waiting
    for CloudFormation, verifying, or an end, after a resume with lessons.
    """

    next: Literal["look", "later", "update", "wait", "verify", "resumed", "over", "failed"]
    reason: str = ""


RolloutStep = RolloutEvent | EndpointEvent
"""What the function is given that changes the serving stack."""
ROLLOUT_STEP: TypeAdapter[RolloutStep] = TypeAdapter(RolloutStep, config=_LATER)


class TeachEvent(Step):
    """Let saved tasks learn from annotations: the `tasks` of these names and those that have one of these `labels`, or
    all of them where neither is given.
    """

    tasks: list[str] = Field(default=[])
    labels: list[str] = Field(default=[])

    @classmethod
    def about(cls, said: Iterable[tuple[str | None, str | None]]) -> "TeachEvent | None":
        """Those whom annotations concern that say these (label, task); None if that is nobody."""
        labelled = [(label, task) for label, task in said if label is not None]
        tasks = {task for _, task in labelled if task is not None}
        labels = {same_to_the_model(label) for label, task in labelled if task is None}
        if sum(map(len, labels)) > MAX_EVENT_CHARS:
            return cls()
        return cls(tasks=sorted(tasks), labels=sorted(labels)) if labelled else None


class ImportEvent(Step):
    """Go on with the import `id`, or end it because of `failure`."""

    id: str
    failure: CaughtError | None = None


class ImportAnswer(Step):
    id: str
    state: Literal["running", "done", "failed"]


class BatchPlanEvent(Step):
    """List images of the batch `id`: called until all are."""

    step: Literal["plan"]
    id: str


class BatchShardEvent(Step):
    """Classify one part of a batch."""

    step: Literal["shard"]
    id: str
    shard: int


class BatchFailEvent(Step):
    """Write down why an attempt can't go on."""

    step: Literal["fail"]
    id: str
    error: CaughtError


BatchEvent = Annotated[BatchPlanEvent | BatchShardEvent | BatchFailEvent, Field(discriminator="step")]
BATCH_EVENT: TypeAdapter[BatchEvent] = TypeAdapter(BatchEvent, config=_LATER)


class BatchPlanAnswer(Step):
    """`shards`: the numbers of those that are still to be classified, once the plan is `complete`."""

    complete: bool
    shards: list[int]
