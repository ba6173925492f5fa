"""The gate behind every training: judges the model, registers it with its figures, and says whether it is promoted.

The state machine calls `handler` with {"training": …, "job": DescribeTrainingJob's answer} and gets {"model", "gate",
"promotion"}; the last one is the id of a promotion to start, or null. Called again with the same, it does the same.
"""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.checkpoints import read_metadata
from contract.idempotency import now
from contract.model_cards import ModelCard
from contract.models import METADATA, Model
from contract.problems import BadRequest, Conflict
from contract.training_steps import GateAnswer, GateEvent, TrainingJob
from contract.trainings import Training
from lambdas.aws.clients import Connect, connect_worker
from lambdas.aws.s3 import Store
from lambdas.aws.serving_stack import ServingStack
from lambdas.gate.verdict import judge
from lambdas.settings import GateSettings
from lambdas.stored.registry import Registry, StoredCheckpoint

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

    def judge(self, training: Training, job: TrainingJob) -> GateAnswer:
        """Register the job's model with the verdict on it, and ask for its promotion where that was wished."""
        artifact_s3_uri = job.model_artifacts.s3_model_artifacts.rstrip("/") + "/"
        text = StoredCheckpoint.at(artifact_s3_uri, self._artifacts).read(METADATA)
        found = json.loads(text) if text else {}
        metadata = found if isinstance(found, dict) else {}  # what can't be judged is refused
        metrics = metadata.get("metrics") or {}
        card = _card(text)
        gate = judge(metrics)
        if refusal := card.refusal(training.version, commercial=self._settings.commercial):
            gate = gate.model_copy(update={"passed": False, "reasons": [*gate.reasons, refusal]})
        model = Model(
            version=training.version,
            parent=training.base_version or metadata.get("parent"),
            artifact_s3_uri=artifact_s3_uri,
            served_version=metadata.get("version"),
            created=now(),
            source="training",
            training=training.id,
            dataset=training.dataset,
            data_digest=metadata.get("data_digest"),
            image=job.algorithm_specification.training_image,
            git_revision=self._settings.git_revision or None,
            gate=gate,
            metrics={name: value for name, value in metrics.items() if name not in UNKEPT_METRICS},
            **card.model_dump(),
        )
        try:
            self._registry.add(model)
        except Conflict:  # a second call finds the version there: it is this very model
            logger.info("registered before", version=model.version)
        logger.info("judged", version=model.version, passed=gate.passed, reasons=gate.reasons)
        promotion = self._promotion(training, model) if gate.passed and training.promote == "auto" else None
        return GateAnswer(model=model.version, gate=gate, promotion=promotion)

    def _promotion(self, training: Training, model: Model) -> str | None:
        """The id of a promotion to start. It is the training's, so that asking twice starts one.

        None if another model than the base went live meanwhile: the new one was not compared with that.
        """
        if self._stack.state().model_uri != training.base_s3_uri:
            logger.warning("not promoted: another model than its base is live", version=model.version)
            return None
        return self._registry.request_promotion(training.id, model).id


def _card(text: bytes | None) -> ModelCard:
    """What a wordsight.json says of its model; one that can't be read says nothing."""
    try:
        return read_metadata(text or b"").card()
    except BadRequest:
        return ModelCard()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Judge one finished training, as stacks/training/stack.py asks for it."""
    finished = GateEvent.model_validate(event)
    gatekeeper = Gatekeeper(GateSettings.from_env(), connect_worker)
    return gatekeeper.judge(finished.training, finished.job).model_dump(mode="json")
