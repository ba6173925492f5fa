"""Batches: accepted, told of, stopped and resumed. The work itself is the state machine's of stacks/api/machines.py.

A stopped or failed batch is resumed by a request of its own. Sending POST /batches again with its Idempotency-Key could
not do it: that promises the first answer and nothing else, and is forgotten after a day.
"""

from collections.abc import Mapping

from contract.batches import (
    BATCHES_PREFIX,
    FILES_EXPIRE_IN_S,
    RESUMABLE,
    Batch,
    BatchBody,
    BatchFiles,
    BatchList,
    BatchState,
    BatchView,
    Failure,
    Plan,
    batch_head_key,
    batch_key,
    done_prefix,
    done_shards,
    failure_key,
    lines_key,
    problems_prefix,
    results_prefix,
    shard_number,
)
from contract.idempotency import now
from contract.problems import Conflict, NotFound, PreconditionFailed
from contract.requests import ClassifyRequest
from contract.taught import head_of_key
from lambdas.aws.clients import Connect, concurrently
from lambdas.aws.executions import Executions, may_begin
from lambdas.aws.s3 import Store
from lambdas.settings import ManageSettings
from lambdas.stored.batches import load_batch, read_plan
from lambdas.stored.endpoint import Changes
from lambdas.stored.tasks import read_head, saved_tasks, with_tasks


class Batches:
    """Those of one stage."""

    def __init__(self, settings: ManageSettings, connect: Connect) -> None:
        self._data = Store(settings.data_bucket, connect)
        self._executions = Executions(settings.batch_machine_arn, connect)
        self._changes = Changes(self._data)

    def begin(self, id: str, body: BatchBody) -> BatchView:
        """Start a batch. With the id of one that was accepted before, it only makes sure that it runs.

        Raises NotFound for images or saved tasks that are not there, BadRequest for a question no answer has room for,
        and Conflict while the stage is paused.
        """
        if self._data.read(batch_key(id)) is None:
            self._changes.refuse("a batch")
            self._accept(id, body)
        return self._run(load_batch(self._data, id).value)

    def get(self, id: str) -> BatchView:
        """How far a batch is. Raises NotFound."""
        return self._view(load_batch(self._data, id).value)

    def page(self, limit: int, after: str) -> BatchList:
        """At most `limit` of them, the newest first, of those older than the id `after`."""
        ids = [id for id in sorted(self._data.folders(BATCHES_PREFIX), reverse=True) if not after or id < after]
        found = self._data.find_all(Batch, [batch_key(id) for id in ids[:limit]])
        views = list(concurrently(self._view, found))
        return BatchList(batches=views, next=ids[limit - 1] if len(ids) > limit else None)

    def files(self, id: str, limit: int, after: str) -> BatchFiles:
        """Where the answers and problems of at most `limit` shards can be had, of those behind the shard `after`.

        Raises NotFound, or BadRequest for what is no shard.
        """
        load_batch(self._data, id)
        done = sorted(done_shards(self._data.keys(done_prefix(id))).items())
        behind = [(shard, each) for shard, each in done if shard > shard_number(after)]
        some = behind[:limit]

        def urls(prefix: str, shards: list[int]) -> list[str]:
            return [self._data.reading_url(lines_key(prefix, shard), FILES_EXPIRE_IN_S) for shard in shards]

        return BatchFiles(
            results=urls(results_prefix(id), [shard for shard, each in some if each.results]),
            problems=urls(problems_prefix(id), [shard for shard, each in some if each.problems]),
            expires_in_s=FILES_EXPIRE_IN_S,
            next=str(some[-1][0]) if len(behind) > limit else None,
        )

    def stop(self, id: str) -> BatchView:
        """End a batch; what is done is kept. Raises NotFound, or Conflict if it has ended."""
        batch = load_batch(self._data, id).value
        if not self._executions.running(batch.execution):
            raise Conflict(f"the batch {id} has ended already: it is {self._view(batch).state}")
        self._executions.stop(batch.execution, "stopped by DELETE /batches")
        return self._view(batch)

    def resume(self, id: str) -> BatchView:
        """Go on with what is missing.

        Raises NotFound, or Conflict for a batch that neither failed nor was stopped, and while the stage is paused.
        """
        document = load_batch(self._data, id)
        batch = document.value
        state = self._view(batch).state
        if state != "done" and self._executions.describe(batch.execution) is None:
            return self._run(batch)  # a request before this one was cut off
        if state not in RESUMABLE:
            raise Conflict(f"the batch {id} is {state}: only one that is {' or '.join(RESUMABLE)} can be resumed")
        self._changes.refuse("a batch")
        following = batch.model_copy(update={"attempt": batch.attempt + 1, "begun": now()})
        try:
            self._data.write(document.key, following, etag=document.etag)
        except PreconditionFailed:
            raise Conflict(f"the batch {id} is being resumed by another request") from None
        return self._run(following)

    def _run(self, batch: Batch) -> BatchView:
        self._executions.start(batch.execution, {"id": batch.id})
        return self._view(batch)

    def _accept(self, id: str, body: BatchBody) -> None:
        place = body.s3_prefix or body.s3_key or ""
        key = next(self._data.keys(place), None)
        if key is None or (body.s3_key is not None and key != body.s3_key):
            what = "no object's key begins with" if body.s3_prefix is not None else "there is no object"
            raise NotFound(f"{what} {place!r} in the data bucket")
        parameters, head_keys = body.question, dict[str, str]()
        if parameters.task:
            parameters, keys = with_tasks(parameters, saved_tasks(self._data, parameters))
            head_keys = self._copies(id, keys)
        ClassifyRequest([b"any image"], parameters)  # says so if not even one image's answer has room
        batch = Batch(
            id=id,
            created=now(),
            begun=now(),
            s3_prefix=body.s3_prefix,
            s3_key=body.s3_key,
            parameters=parameters.model_dump(exclude_unset=True),
            head_keys=head_keys,
        )
        self._data.create(batch_key(id), batch)  # or the same request has, sent twice at once

    def _copies(self, id: str, head_keys: Mapping[str, str]) -> dict[str, str]:
        """The batch's own copies of heads, as others take their places meanwhile. None of one that was just erased."""
        copies = {}
        for question, key in head_keys.items():
            if (content := read_head(self._data, key)) is not None:
                copies[question] = batch_head_key(id, head_of_key(key))
                self._data.keep(copies[question], content, "application/octet-stream")
        return copies

    def _view(self, batch: Batch) -> BatchView:
        plan = read_plan(self._data, batch.id)
        done = done_shards(self._data.keys(done_prefix(batch.id)))
        results, problems = sum(each.results for each in done.values()), sum(each.problems for each in done.values())
        state, reason = self._state(batch, plan, len(done))
        return BatchView(
            id=batch.id,
            created=batch.created,
            state=state,
            reason=reason,
            s3_prefix=batch.s3_prefix,
            s3_key=batch.s3_key,
            images=plan.images if plan.complete else None,
            done_images=results + problems,
            results=results,
            problems=problems,
            shards=plan.shards if plan.complete else None,
            done_shards=len(done),
            results_s3_prefix=results_prefix(batch.id),
            problems_s3_prefix=problems_prefix(batch.id),
        )

    def _state(self, batch: Batch, plan: Plan, done: int) -> tuple[BatchState, str | None]:
        """What was written tells that a batch is done; that it is not, and why, those who know for 90 days."""
        if plan.complete and done == plan.shards:
            return "done", None
        execution = self._executions.describe(batch.execution)
        if execution is None:
            if may_begin(batch.begun):
                return "planning", None
            return "failed", "nothing is known of its work any more: resume it"
        if execution["status"] == "RUNNING":
            return ("running" if plan.complete else "planning"), None
        if execution["status"] == "ABORTED":
            return "stopped", execution.get("cause")
        failure = self._data.find(Failure, failure_key(batch.id))
        if failure and failure.attempt == batch.attempt and failure.reason:
            return "failed", failure.reason
        return "failed", execution.get("cause") or f"it ended as {execution['status']}"
