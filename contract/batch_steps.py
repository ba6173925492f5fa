"""Steps of the machine that works through batches."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from contract.steps import CaughtError, Step


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
BATCH_EVENT: TypeAdapter[BatchEvent] = TypeAdapter(BatchEvent, config=ConfigDict(defer_build=True))


class BatchPlanAnswer(Step):
    """`shards`: the numbers of those that are still to be classified, once the plan is `complete`."""

    complete: bool
    shards: list[int]
