"""The worker of batches, which the state machine of stacks/api/machines.py calls for every step.

`plan` lists images and is called until all are; `shard` classifies one part of them; `fail` writes down why an attempt
can't go on. Each may be called again with the same, and does no harm.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.batch_steps import BATCH_EVENT, BatchFailEvent, BatchPlanAnswer, BatchPlanEvent, BatchShardEvent
from contract.batches import Failure, failure_key
from lambdas.aws.clients import Connect, connect_worker
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import cause_of
from lambdas.aws.s3 import Store
from lambdas.batch.plan import missing_shards, plan
from lambdas.batch.shard import ShardWorker
from lambdas.settings import BatchSettings
from lambdas.stored.batches import load_batch

logger = Logger(service="wordsight-batch", serialize_stacktrace=False)


class Worker:
    """Takes the steps of every batch of one stage."""

    def __init__(self, settings: BatchSettings, connect: Connect) -> None:
        self._store = Store(settings.data_bucket, connect)
        self._endpoint = Endpoint(settings.endpoint_name, connect)

    def take(self, event: dict[str, Any], context: LambdaContext) -> Any:
        """One step, by its name."""
        match BATCH_EVENT.validate_python(event):
            case BatchPlanEvent(id=id):
                found = plan(self._store, load_batch(self._store, id).value, context.get_remaining_time_in_millis)
                logger.info("plan", batch_id=id, images=found.images, complete=found.complete)
                shards = missing_shards(self._store, id) if found.complete else []
                return BatchPlanAnswer(complete=found.complete, shards=shards).model_dump()
            case BatchShardEvent(id=id, shard=shard):
                worker = ShardWorker(self._store, self._endpoint, context.get_remaining_time_in_millis)
                done = worker.work(load_batch(self._store, id).value, shard)
                logger.info("shard", batch_id=id, shard=shard, results=done.results, problems=done.problems)
                # One number: the answers of all shards together may have 256 KiB.
                return done.problems
            case BatchFailEvent(id=id, error=error):
                reason = cause_of(error.model_dump(by_alias=True))
                attempt = load_batch(self._store, id).value.attempt
                self._store.write(failure_key(id), Failure(attempt=attempt, reason=reason))
                return None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Take one step of the batch `id`."""
    return Worker(BatchSettings.from_env(), connect_worker).take(event, context)
