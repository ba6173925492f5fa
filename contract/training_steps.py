"""Steps of the machine that trains, as `contract/steps.py` has those of the others."""

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
    training: Training


class GateEvent(Step):
    training: Training
    job: TrainingJob


class GateAnswer(Step):
    """The verdict on `model`, a version. `promotion`: the id of the one to start, if it is to be promoted."""

    model: str
    gate: Gate
    promotion: str | None
