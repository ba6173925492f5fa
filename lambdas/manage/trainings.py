"""Trainings: accepted, told of and stopped. The work itself is the state machine's of stacks/training/stack.py."""

import time
from collections.abc import Mapping
from math import ceil
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.idempotency import now
from contract.models import ENDED, NO_MODEL_URI, Gate, Model, Promotion
from contract.problems import BadRequest, Conflict, NotFound
from contract.progress import MAX_PROGRESS_BYTES, Phase, TrainingProgress, progress_key
from contract.trainings import (
    BASE_CHANNEL,
    LIVE,
    MIN_RUNTIME_S,
    REFERENCE_CHANNEL,
    REFERENCE_MANIFEST,
    STEP_METRIC,
    STEPS_METRIC,
    TRAIN_CHANNEL,
    Training,
    TrainingBody,
    TrainingCheck,
    TrainingList,
    TrainingState,
    TrainingView,
    channel,
    channel_s3_uri,
    training_ids,
    training_key,
)
from lambdas.aws.clients import Connect, concurrently
from lambdas.aws.executions import Executions, TrainingJobs, may_begin
from lambdas.aws.s3 import Store
from lambdas.aws.serving_stack import ServingStack
from lambdas.manage.allowance import Allowance
from lambdas.manage.estimates import Estimates
from lambdas.manage.models import Promotions, verdict_of
from lambdas.settings import ManageSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.datasets import MIN_TRAIN_IMAGES, hopeless, needed_images, scarce, survey, unlearnable
from lambdas.stored.reference import counted, too_few
from lambdas.stored.registry import Registry

FORGOTTEN = "nothing is known of it any more: it never began, or ended more than 90 days ago; start another"
RUNNING = frozenset({"Training", "Uploading", "Stopping"})
"""SecondaryStatus of a job whose program runs, or has just ended."""
FORCE = "with force it is trained all the same"
PARTLY = (
    "there was time to count {counted:,} of {records:,} annotations: all are counted before a machine starts, and what "
    "is too little then ends the training"
)
TOO_LONG = (
    "it takes about {estimated_s:,} s, and is stopped after {max_runtime_s:,}: raise max_runtime_s, or ask for fewer "
    "epochs"
)
MAX_CHECKED_ANNOTATIONS = 5_000
"""Near duplicates among twice as many take longer than a caller waits."""
CHECK_READ_S = 8
"""Of the time that a caller waits, for reading annotations; S3 reads some hundred in a second."""
NOT_COMPARED = (
    "it passed, but was not promoted: another model than its base is live by now, with which it was not compared; "
    "POST /models/{version}/promote lets it go live all the same"
)

Description = Mapping[str, Any]


class Trainings:
    """Those of one stage."""

    def __init__(self, settings: ManageSettings, connect: Connect, read_s: float = CHECK_READ_S) -> None:
        self._read_s = read_s
        self._settings = settings
        self._data = Store(settings.data_bucket, connect)
        self._artifacts = Store(settings.artifacts_bucket, connect)
        self._registry = Registry(self._artifacts)
        self._stack = ServingStack(settings.serving_stack, connect)
        self._promotions = Promotions(settings, connect)
        self._executions = Executions(settings.training_machine_arn, connect)
        self._jobs = TrainingJobs(connect)
        self._allowance = Allowance(settings, self._data, self._executions, self._jobs)
        self._estimates = Estimates(settings, self._data, self._registry, self._jobs)

    def begin(self, id: str, body: TrainingBody) -> TrainingView:
        """Start a training. With the id of one that was accepted before, it only makes sure that it runs.

        Raises NotFound for a dataset or base that is not there, BadRequest for what SageMaker would refuse, and
        Conflict for a dataset of which nothing can come, or where as much runs, or was spent, as the stage allows.
        """
        training = self._data.find(Training, training_key(id))
        if training is None:
            training = self._accept(id, body)
        elif self._executions.describe(id) is None:
            self._allowance.claim(id, training.estimated_usd)
        request = job_request(training, self._settings.data_bucket, self._settings.max_wait_s)
        self._executions.start(id, {"training": training.model_dump(mode="json"), "job_request": request})
        return self._view(training)

    def check(self, body: TrainingBody) -> TrainingCheck:
        """What a training would find, take and cost, and whether `begin` accepts it. Writes nothing.

        Raises NotFound and BadRequest as `begin` does.
        """
        check, _ = self._check(body)
        refusal = self._allowance.refusal(check.estimated_usd)
        return check.model_copy(update={"starts": False, "missing": [*check.missing, refusal]}) if refusal else check

    def get(self, id: str) -> TrainingView:
        """How a training is. Raises NotFound."""
        return self._view(self._find(id))

    def page(self, limit: int, after: str) -> TrainingList:
        """At most `limit` of them, the newest first, of those older than the id `after`."""
        before = training_key(after) if after else "~"
        keys = [key for key in map(training_key, training_ids(self._data.keys)) if key < before]
        found = self._data.find_all(Training, keys[:limit])
        views = list(concurrently(self._listed, found))
        return TrainingList(trainings=views, next=found[-1].id if found and len(keys) > limit else None)

    def stop(self, id: str) -> TrainingView:
        """End a training; what it has saved is kept. Raises NotFound, or Conflict if it has ended."""
        training = self._find(id)
        if not self._executions.running(id):
            raise Conflict(f"the training {id} has ended already: it is {self._view(training).state}")
        self._jobs.stop(training.version)  # before its execution, which would leave it no time to save its state
        self._executions.stop(id, "stopped by DELETE /trainings")
        return self._view(training)

    def _find(self, id: str) -> Training:
        absent = f"there is no training {id!r}: GET /trainings lists them"
        return self._data.load(Training, training_key(id), absent).value

    def _listed(self, training: Training) -> TrainingView:
        return self._view(training, listed=True)

    def _view(self, training: Training, *, listed: bool = False) -> TrainingView:
        # the execution first: it ends after it has registered the model
        execution, job = self._executions.describe(training.id), self._jobs.describe(training.version)
        model, promotion = self._registry.find(training.version), self._promotions.find(training.id)
        if model and model.gate:
            state, reason = _after_gate(model.gate, promotion, training.promote)
        else:
            state, reason = _before_gate(training, execution, job)
        metrics = {each["MetricName"]: float(each["Value"]) for each in (job or {}).get("FinalMetricDataList") or []}
        printed, steps = metrics.pop(STEP_METRIC, None), metrics.pop(STEPS_METRIC, None)
        told = None
        if job and (state == "training" or not listed):
            written = self._artifacts.read_file(progress_key(training.id), size_bytes=MAX_PROGRESS_BYTES)
            told = TrainingProgress.read(written)
        phase = _phase(state, job, told)
        step = printed if told is None or told.step is None else told.step
        return TrainingView(
            **training.model_dump(),
            state=state,
            status=job["SecondaryStatus"] if job else None,
            phase=phase,
            step=None if step is None else int(step),
            steps=training.planned_steps if steps is None else int(steps),
            left_s=_left_s(told) if told and told.phase == phase else None,
            history=told.history if told and not listed else [],
            metrics=metrics,
            gate=model.gate if model else None,
            verdict=verdict_of(model) if model else None,
            promotion=promotion,
            reason=reason,
        )

    def _accept(self, id: str, body: TrainingBody) -> Training:
        check, s3_uri = self._check(body)
        if check.missing:
            learnable = check.images.get("train", 0) >= MIN_TRAIN_IMAGES and "validation" in check.images
            forceable = learnable and not _missing_reference(body, check.reference_images)
            raise Conflict("; ".join([*check.missing, *([FORCE] if forceable else [])]))
        self._allowance.claim(id, check.estimated_usd)
        training = Training(
            id=id,
            created=now(),
            version=f"{self._settings.job_name_prefix}{id}",
            dataset=body.dataset,
            base_version=check.base_version,
            base_s3_uri=s3_uri,
            reference_s3_prefix=body.reference_s3_prefix,
            hyperparameters=body.hyperparameter_strings,
            promote=body.promote,
            max_runtime_s=check.max_runtime_s,
            spot=self._settings.spot if body.spot is None else body.spot,
            force=body.force,
            planned_steps=check.steps,
            **check.model_dump(include={"images_per_step", "estimated_s", "estimated_usd", "estimate", "warnings"}),
        )
        created = self._data.create(training_key(id), training)
        return training if created else self._find(id)  # the same request, sent twice at once

    def _check(self, body: TrainingBody) -> tuple[TrainingCheck, str]:
        """And the artifact's URI of the base."""
        until_s = time.monotonic() + self._read_s
        annotations, records = AnnotationStore(self._data).some(body.dataset, MAX_CHECKED_ANNOTATIONS, until_s)
        if not records:
            raise NotFound(f"the dataset {body.dataset!r} has no annotations: POST /annotations adds them")
        base, s3_uri = self._base(body.base_version)
        max_runtime_s = self._max_runtime_s(body)
        asked = Hyperparameters.from_strings(body.hyperparameter_strings)
        found = survey(body.dataset, annotations, asked.validation_share)
        never, gate = unlearnable(found), hopeless(found, asked)
        missing, warnings = never or ([] if body.force else gate), scarce(found)
        if body.force:
            warnings = [*gate, *warnings]
        if len(annotations) < records:
            # what is too few of a part may be enough of all, which the snapshot counts before a machine starts
            warnings = [PARTLY.format(counted=len(annotations), records=records), *missing, *warnings]
            missing = []
        reference = None if body.reference_s3_prefix is None else counted(self._data, body.reference_s3_prefix)
        missing = [*missing, *_missing_reference(body, reference)]
        train = ceil(found.train * records / len(annotations)) if annotations else 0
        estimate = self._estimates.of(asked, train, base, s3_uri, has_reference=reference is not None)
        usd_per_hour = self._settings.usd_per_hour
        if estimate.seconds > max_runtime_s:
            warnings.append(TOO_LONG.format(estimated_s=estimate.seconds, max_runtime_s=max_runtime_s))
        return TrainingCheck(
            starts=not missing,
            missing=missing,
            warnings=warnings,
            dataset=body.dataset,
            base_version=base.version if base else None,
            records=records,
            counted=len(annotations),
            images=found.images,
            labels=found.labels,
            reference_images=reference,
            telling_images=found.telling,
            needed_images=needed_images(found),
            steps=estimate.steps,
            images_per_step=estimate.images_per_step,
            estimated_s=estimate.seconds,
            estimated_usd=estimate.usd(usd_per_hour, max_runtime_s),
            estimate=estimate.source,
            max_runtime_s=max_runtime_s,
            max_usd=round(max_runtime_s / 3600 * usd_per_hour, 2) if usd_per_hour else None,
        ), s3_uri

    def _base(self, version: str) -> tuple[Model | None, str]:
        """The model to start from and its artifact's URI; what is live may have been deployed by hand."""
        if version != LIVE:
            model = self._registry.get(version)
            return model, model.artifact_s3_uri
        s3_uri = self._stack.state().model_uri
        return self._registry.at(s3_uri), s3_uri

    def _max_runtime_s(self, body: TrainingBody) -> int:
        most = self._settings.max_run_s
        if body.max_spend_usd is None:
            if body.max_runtime_s is not None and body.max_runtime_s > most:
                raise BadRequest(
                    f"max_runtime_s is {body.max_runtime_s}, at most {most} are allowed (the stage's max_run_s)"
                )
            return body.max_runtime_s or most
        # at the price without spot: spot capacity may cost as much
        spend_usd, usd_per_hour = body.max_spend_usd, self._settings.usd_per_hour
        if not usd_per_hour:
            raise BadRequest("max_spend_usd: the price of this stage's machines is not known; give max_runtime_s")
        runtime_s = int(3600 * spend_usd / usd_per_hour)
        if runtime_s < MIN_RUNTIME_S:
            least_usd = MIN_RUNTIME_S / 3600 * usd_per_hour
            raise BadRequest(
                f"max_spend_usd is {spend_usd:g}, which pays for {runtime_s} s of {usd_per_hour:g} USD per hour: "
                f"give at least {least_usd:.2f}, or max_runtime_s"
            )
        return min(most, runtime_s)


def _missing_reference(body: TrainingBody, images: int | None) -> list[str]:
    return [] if body.reference_s3_prefix is None else too_few(body.reference_s3_prefix, images or 0)


def _before_gate(
    training: Training, execution: Description | None, job: Description | None
) -> tuple[TrainingState, str | None]:
    if execution is None:
        return ("queued", None) if may_begin(training.created) else ("failed", FORGOTTEN)
    if execution["status"] == "RUNNING":
        if job is None:
            return "snapshot", None
        return "gating" if job["TrainingJobStatus"] == "Completed" else "training", None
    cause = execution.get("cause") or f"its execution ended as {execution['status']}"
    stopped = execution["status"] == "ABORTED" or (job or {}).get("SecondaryStatus") == "Stopped"
    return "stopped" if stopped else "failed", cause


def _phase(state: TrainingState, job: Description | None, told: TrainingProgress | None) -> Phase | None:
    """What goes on. A job that is in no machine yet, or in none any more, has at most a former start's file."""
    if state == "gating":
        return "judging"
    if state not in ("queued", "snapshot", "training"):
        return None
    runs = job is not None and job["SecondaryStatus"] in RUNNING
    return told.phase if told and runs else "starting"


def _left_s(told: TrainingProgress) -> int | None:
    return None if told.left_s is None else max(0, round(told.left_s - (time.time() - told.updated_s)))


def _after_gate(gate: Gate, promotion: Promotion | None, promote: str) -> tuple[TrainingState, str | None]:
    if not gate.passed:
        return "refused", "; ".join(gate.reasons)
    if promotion is None:
        return "done", NOT_COMPARED if promote == "auto" else None
    if promotion.state not in ENDED:
        return "promoting", None
    return "done", promotion.reason


def job_request(training: Training, data_bucket: str, max_wait_s: int) -> dict[str, Any]:
    """Members of CreateTrainingJob's request.

    Its channels are those that it reads in any case: the snapshot answers with all of them.
    `max_wait_s` is what a job on spot capacity may take with its waiting, if it may run no longer than that.
    """
    channels = [channel(TRAIN_CHANNEL, channel_s3_uri(data_bucket, training.id))]
    if training.base_s3_uri != NO_MODEL_URI:
        channels.append(channel(BASE_CHANNEL, training.base_s3_uri, "S3Prefix"))
    if training.reference_s3_prefix is not None:
        s3_uri = channel_s3_uri(data_bucket, training.id, REFERENCE_MANIFEST)
        channels.append(channel(REFERENCE_CHANNEL, s3_uri))
    stopping = {"MaxRuntimeInSeconds": training.max_runtime_s}
    if training.spot:  # SageMaker refuses it without
        stopping["MaxWaitTimeInSeconds"] = max(max_wait_s, training.max_runtime_s)
    return {
        "HyperParameters": training.hyperparameters,
        "InputDataConfig": channels,
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": training.spot,
    }
