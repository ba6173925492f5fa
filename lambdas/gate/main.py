"""The gate behind every training: judges the model, registers it with its figures, and says whether it is promoted.

The state machine calls `handler` with {"training": …, "job": DescribeTrainingJob's answer} and gets {"model", "gate",
"promotion"}; the last one is the id of a promotion to start, or null. Called again with the same, it does the same.
"""

import json
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.idempotency import now
from contract.models import METADATA, Gate, Model, Promotion
from contract.problems import Conflict
from contract.steps import GateAnswer, GateEvent
from contract.trainings import Training
from lambdas.aws.clients import Connect, connect
from lambdas.aws.s3 import Store
from lambdas.aws.serving_stack import ServingStack
from lambdas.gate.verdict import judge
from lambdas.settings import GateSettings
from lambdas.stored.checkpoints import StoredCheckpoint
from lambdas.stored.registry import Registry

UNKEPT_METRICS = ("learning_curve",)
"""Long, and in the checkpoint's own card."""

logger = Logger(service="wordsight-gate", serialize_stacktrace=False)


class Gatekeeper:
    """Judges what comes out of training jobs."""

    def __init__(self, settings: GateSettings, connect: Connect) -> None:
        self._settings = settings
        self._artifacts = Store(settings.artifacts_bucket, connect)
        self._registry = Registry(self._artifacts)
        self._stack = ServingStack(settings.serving_stack, connect)

    def judge(self, training: Training, job: dict[str, Any]) -> dict[str, Any]:
        """Register the job's model with the verdict on it, and ask for its promotion where that was wished."""
        artifact_s3_uri = job["ModelArtifacts"]["S3ModelArtifacts"].rstrip("/") + "/"
        metadata = self._metadata(artifact_s3_uri)
        gate = judge(metadata.get("metrics") or {})
        model = self._model(training, job, artifact_s3_uri, metadata, gate)
        self._register(model)
        logger.info("judged", version=model.version, passed=gate.passed, reasons=gate.reasons)
        promotion = self._promotion(training, model) if gate.passed and training.promote == "auto" else None
        return {"model": model.version, "gate": gate.model_dump(mode="json"), "promotion": promotion}

    def _metadata(self, artifact_s3_uri: str) -> dict[str, Any]:
        """The checkpoint's wordsight.json; one without it can't be judged, which is the verdict."""
        text = StoredCheckpoint.at(artifact_s3_uri, self._artifacts).read(METADATA)
        metadata = json.loads(text) if text else {}
        return metadata if isinstance(metadata, dict) else {}

    def _model(
        self, training: Training, job: dict[str, Any], artifact_s3_uri: str, metadata: dict[str, Any], gate: Gate
    ) -> Model:
        metrics = {name: value for name, value in (metadata.get("metrics") or {}).items() if name not in UNKEPT_METRICS}
        return Model(
            version=training.version,
            parent=training.base_version or metadata.get("parent"),
            artifact_s3_uri=artifact_s3_uri,
            served_version=metadata.get("version"),
            created=now(),
            source="training",
            training=training.id,
            dataset=training.dataset,
            data_digest=metadata.get("data_digest"),
            image=job["AlgorithmSpecification"]["TrainingImage"],
            git_revision=self._settings.git_revision or None,
            gate=gate,
            metrics=metrics,
        )

    def _register(self, model: Model) -> None:
        """A second call finds the version there: it is this very model."""
        try:
            self._registry.add(model)
        except Conflict:
            logger.info("registered before", version=model.version)

    def _promotion(self, training: Training, model: Model) -> str | None:
        """The id of a promotion to start. It is the training's, so that asking twice starts one.

        None if another model than the base went live meanwhile: the new one was not compared with that.
        """
        if self._stack.state().model_uri != training.base_s3_uri:
            logger.warning("not promoted: another model than its base is live", version=model.version)
            return None
        self._registry.put(
            Promotion(
                id=training.id,
                version=model.version,
                artifact_s3_uri=model.artifact_s3_uri,
                served_version=model.served_version,
                created=now(),
            )
        )
        return training.id


@cache
def _gatekeeper() -> Gatekeeper:
    return Gatekeeper(GateSettings.from_env(), connect)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Judge one finished training, as stacks/training/stack.py asks for it."""
    finished = GateEvent.model_validate(event)
    verdict = _gatekeeper().judge(finished.training, finished.job.model_dump(by_alias=True))
    return GateAnswer.model_validate(verdict).model_dump(mode="json")
