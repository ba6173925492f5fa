"""Steps of the machine that trains."""

from pydantic import Field, JsonValue

from contract.models import Gate
from contract.steps import OfAWS, Step
from contract.trainings import Training


class ModelArtifacts(OfAWS):
    s3_model_artifacts: str


class AlgorithmSpecification(OfAWS):
    training_image: str


class TrainingJob(OfAWS):
    """DescribeTrainingJob's answer about a job that completed."""

    model_artifacts: ModelArtifacts
    algorithm_specification: AlgorithmSpecification


class SnapshotEvent(Step):
    """`channels`: what the training job reads in any case."""

    training: Training
    channels: list[dict[str, JsonValue]] = Field(default=[])


class SnapshotAnswer(Step):
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


class GateEvent(Step):
    training: Training
    job: TrainingJob


class GateAnswer(Step):
    """The verdict on `model`, a version. `promotion`: the id of the one to start, if it is to be promoted."""

    model: str
    gate: Gate
    promotion: str | None
