"""How far a training is: what its program writes beside its states while it runs, and GET /trainings/{id} answers.

SageMaker copies the folder of checkpoints into the bucket all the time (CheckpointConfig), so a small file there can be
read without logs, and comes back with the states when a job is restarted.
"""

from typing import Literal, Self

from pydantic import Field, ValidationError

from contract.deferred import Deferred
from contract.validation import Stored

CHECKPOINTS_PREFIX = "checkpoints/"
"""Where in the artifacts bucket the states of trainings are: one folder each, by the training's id."""
PROGRESS_FILE = "progress.json"
MAX_PROGRESS_BYTES = 100_000
MAX_HISTORY_POINTS = 200

Phase = Literal["starting", "reading", "training", "choosing", "evaluating", "judging"]
"""What goes on: a machine and a program start; images are opened; steps are made; the mixture of weights is chosen; the
result is measured; the gate judges it.
"""
PHASES_IN_WORDS: dict[Phase, str] = {
    "starting": "starting",
    "reading": "reading the images",
    "training": "training",
    "choosing": "choosing the mixture",
    "evaluating": "evaluating",
    "judging": "judging",
}


class HistoryPoint(Deferred):
    """A point of the curves; null is what was not measured there."""

    step: int = Field(description="How many steps had been made")
    loss: float | None = Field(default=None, description="Of training, the mean since the point before")
    validation_loss: float | None = Field(default=None, description="On the validation images")
    accuracy: float | None = Field(default=None, description="On the validation images")


class TrainingProgress(Stored):
    """The file's content. A number that is not finite is null."""

    phase: Phase
    step: int | None = None
    steps: int | None = None
    left_s: int | None = Field(default=None, description="Seconds until the program ends, as far as it can tell")
    updated_s: float = Field(description="Seconds since 1970")
    history: list[HistoryPoint] = Field(default=[], max_length=MAX_HISTORY_POINTS)

    @classmethod
    def read(cls, content: bytes | None) -> Self | None:
        """What a file tells; None where there is none, or S3 has half of one."""
        try:
            return cls.model_validate_json(content) if content else None
        except ValidationError:
            return None


def progress_key(id: str) -> str:
    """Where in the artifacts bucket the file of a training is."""
    return f"{CHECKPOINTS_PREFIX}{id}/{PROGRESS_FILE}"
