"""Trainings: accepted, told of and stopped. The work itself is the state machine's of stacks/training.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lambdas.clients import Connect
from lambdas.executions import Executions
from lambdas.job_request import job_request
from lambdas.promotions import Promotions
from lambdas.registry import Registry
from lambdas.serving_stack import ServingStack
from lambdas.settings import TrainSettings
from lambdas.store import Store
from lambdas.training_jobs import TrainingJobs
from lambdas.training_state import view
from model.contract import BadRequest, Conflict, NotFound, PreconditionFailed
from model.resources.annotations import ANNOTATIONS_PREFIX
from model.resources.ids import now
from model.resources.trainings import (
    LIVE,
    MIN_RUNTIME_S,
    TRAININGS_PREFIX,
    Training,
    TrainingBody,
    TrainingList,
    TrainingView,
    training_key,
)

_READERS = 8  # botocore keeps 10 connections


class Trainings:
    """Those of one stage."""

    def __init__(self, settings: TrainSettings, connect: Connect) -> None:
        self._settings = settings
        self._data = Store(settings.data_bucket, connect)
        self._registry = Registry(Store(settings.artifacts_bucket, connect))
        self._stack = ServingStack(settings.serving_stack, connect)
        self._promotions = Promotions(settings, connect)
        self._executions = Executions(settings.training_machine_arn, connect)
        self._jobs = TrainingJobs(connect)

    def begin(self, id: str, body: TrainingBody) -> TrainingView:
        """Start a training. With the id of one that was accepted before, it only makes sure that it runs.

        Raises NotFound for a dataset or base that is not there, BadRequest for what SageMaker would refuse.
        """
        document = self._data.read(training_key(id))
        training = Training.model_validate(document.value) if document else self._accept(id, body)
        request = job_request(training, self._settings.data_bucket, self._settings.max_wait_s)
        self._executions.start(id, {"training": training.model_dump(mode="json"), "job_request": request})
        return self._view(training)

    def get(self, id: str) -> TrainingView:
        """How a training is. Raises NotFound."""
        return self._view(self._find(id))

    def page(self, limit: int, after: str) -> TrainingList:
        """At most `limit` of them, the newest first, of those older than the id `after`."""
        before = training_key(after) if after else "~"
        keys = [key for key in sorted(self._data.keys(TRAININGS_PREFIX), reverse=True) if key < before]
        found = [Training.model_validate(each.value) for each in self._data.read_all(keys[:limit])]
        with ThreadPoolExecutor(_READERS) as readers:
            views = list(readers.map(self._view, found))
        return TrainingList(trainings=views, next=found[-1].id if found and len(keys) > limit else None)

    def stop(self, id: str) -> TrainingView:
        """End a training; what it has saved is kept. Raises NotFound, or Conflict if it has ended."""
        training = self._find(id)
        execution = self._executions.describe(id)
        if execution is None or execution["status"] != "RUNNING":
            raise Conflict(f"the training {id} has ended already: it is {self._view(training).state}")
        self._jobs.stop(training.version)  # before its execution, which would leave it no time to save its state
        self._executions.stop(id, "stopped by DELETE /trainings")
        return self._view(training)

    def _find(self, id: str) -> Training:
        document = self._data.read(training_key(id))
        if document is None:
            raise NotFound(f"there is no training {id!r}: GET /trainings lists them")
        return Training.model_validate(document.value)

    def _view(self, training: Training) -> TrainingView:
        return view(
            training,
            self._executions.describe(training.id),
            self._jobs.describe(training.version),
            self._registry.find(training.version),
            self._promotions.find(training.id),
        )

    def _accept(self, id: str, body: TrainingBody) -> Training:
        if next(self._data.keys(f"{ANNOTATIONS_PREFIX}{body.dataset}/"), None) is None:
            raise NotFound(f"the dataset {body.dataset!r} has no annotations: POST /annotations adds them")
        version, s3_uri = self._base(body.base_version)
        training = Training(
            id=id,
            created=now(),
            version=f"{self._settings.job_name_prefix}{id}",
            dataset=body.dataset,
            base_version=version,
            base_s3_uri=s3_uri,
            hyperparameters=body.hyperparameter_strings,
            promote=body.promote,
            max_runtime_s=self._max_runtime_s(body),
            spot=self._settings.spot if body.spot is None else body.spot,
        )
        try:
            self._data.write(training_key(id), training.model_dump(mode="json"), absent=True)
        except PreconditionFailed:
            return self._find(id)  # the same request, sent twice at once
        return training

    def _base(self, version: str) -> tuple[str | None, str]:
        """(version, artifact's URI) of the model to start from; what is live may have been deployed by hand."""
        if version != LIVE:
            model = self._registry.get(version)
            return model.version, model.artifact_s3_uri
        s3_uri = self._stack.state().model_uri
        found = self._registry.at(s3_uri)
        return found.version if found else None, s3_uri

    def _max_runtime_s(self, body: TrainingBody) -> int:
        most = self._settings.max_run_s
        if body.max_spend_usd is not None:
            return min(most, self._paid_s(body.max_spend_usd))
        if body.max_runtime_s is not None and body.max_runtime_s > most:
            raise BadRequest(
                f"max_runtime_s is {body.max_runtime_s}, at most {most} are allowed (the stage's max_run_s)"
            )
        return body.max_runtime_s or most

    def _paid_s(self, spend_usd: float) -> int:
        """How long an amount pays for, at the price without spot: spot capacity may cost as much."""
        usd_per_hour = self._settings.usd_per_hour
        if not usd_per_hour:
            raise BadRequest("max_spend_usd: the price of this stage's machines is not known; give max_runtime_s")
        runtime_s = int(3600 * spend_usd / usd_per_hour)
        if runtime_s < MIN_RUNTIME_S:
            least_usd = MIN_RUNTIME_S / 3600 * usd_per_hour
            raise BadRequest(
                f"max_spend_usd is {spend_usd:g}, which pays for {runtime_s} s of {usd_per_hour:g} USD per hour: "
                f"give at least {least_usd:.2f}, or max_runtime_s"
            )
        return runtime_s
