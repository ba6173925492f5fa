"""Steps of the state machines: the events that they send to Lambda functions, and the answers that they read.

Each handler parses its event with the model here, and a test walks every machine's definition with the same models: a
field that is renamed on one side only fails there, not in an execution.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic.alias_generators import to_pascal

from contract.deferred import Deferred
from contract.endpoint import Action, AskedBy
from contract.models import Gate
from contract.texts import same_to_the_model
from contract.trainings import Training

MAX_EVENT_CHARS = 16_000
"""Of labels in an event for which nobody waits. Lambda takes 256 KB, and JSON may write a character as twelve bytes:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""


class _Step(Deferred):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OfAWS(Deferred):
    """An object of AWS's, by the members that are read; AWS may add others."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class CaughtError(_OfAWS):
    """What a Catch makes of a failure: its error's name and cause, which is JSON where a function raised.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    error: str = ""
    cause: str = ""


class ModelArtifacts(_OfAWS):
    s3_model_artifacts: str


class AlgorithmSpecification(_OfAWS):
    training_image: str


class TrainingJob(_OfAWS):
    """DescribeTrainingJob's answer about a job that completed."""

    model_artifacts: ModelArtifacts
    algorithm_specification: AlgorithmSpecification


class SnapshotEvent(_Step):
    """`channels`: what the training job reads in any case."""

    training: Training
    channels: list[dict[str, JsonValue]] = Field(default=[])


class SnapshotAnswer(_Step):
    """What was written down, and with it all `channels` that the training job reads. `digest`: sha256 of the manifest.
    `images`: how many there are in each split. `reference_images`: how many beside these; `old_images`: how many that
    were labelled before.
    """

    records: int
    images: dict[str, int]
    digest: str
    reference_images: int = 0
    old_images: int = 0
    channels: list[dict[str, JsonValue]] = Field(default=[])


class GateEvent(_Step):
    training: Training
    job: TrainingJob


class GateAnswer(_Step):
    """The verdict on `model`, a version. `promotion`: the id of the one to start, if it is to be promoted."""

    model: str
    gate: Gate
    promotion: str | None


class RolloutEvent(_Step):
    """A step of the promotion with the id `promotion`; `reason`: why the one before `report` could not be taken."""

    step: Literal["update", "check", "verify", "report"]
    promotion: str
    reason: str | None = None


class RolloutAnswer(_Step):
    """What comes next: waiting for CloudFormation, verifying, or an end."""

    next: Literal["wait", "verify", "live", "failed"]
    reason: str = ""


class EndpointAsked(_Step):
    """What an execution that pauses or resumes a stage is given. `at`: when it was asked for, ISO 8601, by which it is
    judged whether the endpoint was used lately, and whether waiting has an end.
    """

    action: Action
    by: AskedBy
    at: str


class EndpointEvent(_Step):
    """A step of the change with the id `change`. `reason`: what has to end before, or why a step could not be taken."""

    step: Literal["begin", "busy", "update", "check", "verify", "report"]
    change: str
    asked: EndpointAsked
    reason: str | None = None


class EndpointAnswer(_Step):
    """What comes next: looking whether anything runs that needs the endpoint, beginning again later, updating, waiting
    for CloudFormation, verifying, or an end, after a resume with lessons.
    """

    next: Literal["look", "later", "update", "wait", "verify", "resumed", "over", "failed"]
    reason: str = ""


RolloutStep = RolloutEvent | EndpointEvent
"""What the function is given that changes the serving stack."""
ROLLOUT_STEP: TypeAdapter[RolloutStep] = TypeAdapter(RolloutStep)


class TeachEvent(_Step):
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


class ImportEvent(_Step):
    """Go on with the import `id`, or end it because of `failure`."""

    id: str
    failure: CaughtError | None = None


class ImportAnswer(_Step):
    id: str
    state: Literal["running", "done", "failed"]


class BatchPlanEvent(_Step):
    """List images of the batch `id`: called until all are."""

    step: Literal["plan"]
    id: str


class BatchShardEvent(_Step):
    """Classify one part of a batch."""

    step: Literal["shard"]
    id: str
    shard: int


class BatchFailEvent(_Step):
    """Write down why an attempt can't go on."""

    step: Literal["fail"]
    id: str
    error: CaughtError


BatchEvent = Annotated[BatchPlanEvent | BatchShardEvent | BatchFailEvent, Field(discriminator="step")]
BATCH_EVENT: TypeAdapter[BatchEvent] = TypeAdapter(BatchEvent)


class BatchPlanAnswer(_Step):
    """`shards`: the numbers of those that are still to be classified, once the plan is `complete`."""

    complete: bool
    shards: list[int]
