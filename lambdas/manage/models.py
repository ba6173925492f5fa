"""Models: listed, brought along, and promoted; a promotion whose execution is over is over too."""

from collections.abc import Iterator

from contract.endpoint import RESUME
from contract.idempotency import now
from contract.metrics import Metrics
from contract.models import (
    BASE_VERSION,
    ENDED,
    ImportBody,
    Model,
    ModelList,
    ModelSummary,
    ModelView,
    Promotion,
    brought_prefix,
)
from contract.problems import BadRequest, Conflict
from contract.uploads import (
    CHECKPOINT_UPLOAD_EXPIRES_IN_S,
    MAX_CHECKPOINT_FILE_BYTES,
    CheckpointUpload,
    CheckpointUploads,
    CheckpointUploadsBody,
)
from contract.verdict import verdict_sentence
from lambdas.aws.clients import Connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import Executions, may_begin
from lambdas.aws.s3 import Store
from lambdas.aws.serving_stack import ServingStack
from lambdas.settings import ManageSettings
from lambdas.stored.endpoint import Changes
from lambdas.stored.registry import Registry, StoredCheckpoint

_SUMMARIZED = set(ModelSummary.model_fields)
NEVER_BEGAN = "it never began: what should have started it was cut off; promote the version again"
CUT_OFF = "GET /models says what is live; promote the version again, or the one before it"


class Promotions:
    """Those of one stage. Every method raises ServiceUnavailable if S3 or Step Functions does not answer."""

    def __init__(self, settings: ManageSettings, connect: Connect) -> None:
        self._registry = Registry(Store(settings.artifacts_bucket, connect))
        self._executions = Executions(settings.promotion_machine_arn, connect)

    def find(self, id: str) -> Promotion | None:
        """A promotion, or None where there is none of this id."""
        promotion = self._registry.promotion(id)
        return self._told(promotion) if promotion else None

    def all(self) -> Iterator[Promotion]:
        """Every promotion, the newest first."""
        return map(self._told, self._registry.promotions())

    def start(self, promotion: Promotion) -> None:
        """Begin its work, unless that has begun."""
        self._executions.start(promotion.id, {"promotion": promotion.id})

    def _told(self, promotion: Promotion) -> Promotion:
        """As its execution says it is: one that was stopped or timed out could not write down its end."""
        if promotion.state in ENDED:
            return promotion
        execution = self._executions.describe(promotion.id)
        if execution is None and promotion.state == "requested":
            return promotion if may_begin(promotion.created) else _failed(promotion, NEVER_BEGAN)
        if execution is not None and execution["status"] == "RUNNING":
            return promotion
        written = self._registry.promotion(promotion.id)  # once more: it may have ended between the two looks
        if written and written.state in ENDED:
            return written
        how = "nothing is known of its execution any more"
        if execution is not None:
            how = ": ".join(filter(None, (f"its execution ended as {execution['status']}", execution.get("cause"))))
        return _failed(promotion, f"its work was cut off while it was {promotion.state} ({how}); {CUT_OFF}")


def _failed(promotion: Promotion, reason: str) -> Promotion:
    return promotion.model_copy(update={"state": "failed", "reason": reason})


class Models:
    """Those of one stage."""

    def __init__(self, settings: ManageSettings, connect: Connect) -> None:
        self._artifacts = Store(settings.artifacts_bucket, connect)
        self._registry = Registry(self._artifacts)
        self._stack = ServingStack(settings.serving_stack, connect)
        self._promotions = Promotions(settings, connect)
        self._endpoint = Endpoint(settings.endpoint_name, connect)
        self._changes = Changes(Store(settings.data_bucket, connect))
        self._commercial = settings.commercial

    def all(self) -> ModelList:
        """Every version, which one is live, and what is rolling out."""
        live = self._stack.state().model_uri
        return ModelList(
            models=[
                ModelSummary(**each.model_dump(include=_SUMMARIZED), live=each.artifact_s3_uri == live)
                for each in map(self._with_card, self._registry.models())
            ],
            live_s3_uri=live,
            rolling_out=next((each for each in self._promotions.all() if each.state not in ENDED), None),
        )

    def get(self, version: str) -> ModelView:
        """One version. Raises NotFound."""
        return self._view(self._with_card(self._registry.get(version)))

    def add(self, body: ImportBody) -> ModelView:
        """Register a checkpoint that lies in the artifacts bucket.

        Raises BadRequest if it can't be served or its licence forbids it, NotFound for an unknown parent, Conflict for
        a version that is taken.
        """
        from lambdas.manage.foreign_checkpoint import read_foreign  # with all that checkpoints consist of

        checkpoint = StoredCheckpoint.at(body.s3_uri, self._artifacts)
        metadata, card = read_foreign(checkpoint)
        if refusal := card.refusal(body.version, commercial=self._commercial):
            raise BadRequest(refusal)
        if body.parent is not None:
            self._registry.get(body.parent)
        model = Model(
            version=body.version,
            parent=body.parent,
            artifact_s3_uri=checkpoint.s3_uri,
            served_version=metadata.version if metadata else None,
            created=now(),
            source="import",
            data_digest=metadata.data_digest if metadata else None,
            metrics=metadata.metrics if metadata else {},
            **card.model_dump(),
        )
        same = self._registry.find(body.version)
        if same is None or same.model_copy(update={"created": model.created}) != model:
            self._registry.add(model)
        return self._view(model)

    def uploads(self, id: str, body: CheckpointUploadsBody) -> CheckpointUploads:
        """Forms that take a checkpoint's files into a folder of their own."""
        prefix = brought_prefix(id)

        def form(name: str) -> CheckpointUpload:
            conditions = [["content-length-range", 0, MAX_CHECKPOINT_FILE_BYTES]]
            made = self._artifacts.posting_form(prefix + name, {}, conditions, CHECKPOINT_UPLOAD_EXPIRES_IN_S)
            return CheckpointUpload(
                name=name,
                url=made["url"],
                fields=made["fields"],
                max_bytes=MAX_CHECKPOINT_FILE_BYTES,
                expires_in_s=CHECKPOINT_UPLOAD_EXPIRES_IN_S,
            )

        uploads = [form(name) for name in dict.fromkeys(body.files)]
        return CheckpointUploads(s3_uri=f"s3://{self._artifacts.bucket}/{prefix}", uploads=uploads)

    def promote(self, id: str, version: str, *, force: bool) -> Promotion:
        """Begin the promotion of a version. With the id of one that began before, it only makes sure that it runs.

        Raises NotFound, or Conflict if the gate refused the version, its licence forbids it, the stage is paused, or
        the stack is being changed.
        """
        model = self._registry.get(version)
        promotion = self._registry.promotion(id)
        if promotion is None:
            self._check(model, force)
            promotion = self._registry.request_promotion(id, model)
        self._promotions.start(promotion)
        return promotion

    def _check(self, model: Model, force: bool) -> None:
        if refusal := self._with_card(model).refusal(model.version, commercial=self._commercial):
            raise Conflict(refusal)
        if model.gate and not model.gate.passed and not force:
            raise Conflict(f"the gate refused {model.version}: {'; '.join(model.gate.reasons)}. Set force to go on")
        self._changes.refuse("a promotion")
        stack = self._stack.state()
        if stack.paused:
            raise Conflict(f"a promotion needs the endpoint, and the stage is paused: {RESUME} first")
        if stack.changing:
            raise Conflict(
                f"the endpoint is being changed ({stack.status}): try again when that is done", retry_after_s=30
            )

    def _with_card(self, model: Model) -> Model:
        """The model in the image is nowhere written down: the endpoint tells what it knows."""
        cards = self._endpoint.cards() if model.version == BASE_VERSION else None
        return model.model_copy(update=cards.base.model_dump()) if cards else model

    def _view(self, model: Model) -> ModelView:
        promotions = (each for each in self._promotions.all() if each.version == model.version)
        live = self._stack.state().model_uri == model.artifact_s3_uri
        told = model.model_dump()
        return ModelView(**told, live=live, verdict=verdict_of(model), promotion=next(promotions, None))


def verdict_of(model: Model) -> str | None:
    """What became of the training that made it, in a sentence."""
    return verdict_sentence(model.gate, Metrics.of(model.metrics)) if model.gate else None
