import json
from typing import Any

import pytest

from contract.models import NO_MODEL_URI
from contract.training_steps import TrainingJob
from contract.trainings import Training
from lambdas.aws.s3 import Store
from lambdas.gate.main import Gatekeeper
from lambdas.settings import GateSettings
from lambdas.stored.registry import Registry
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation
from tests.lambdas.gate.test_verdict import GAIN, metrics

ID = "20261122120000-abcdef"
VERSION = f"wordsight-test-{ID}"
TRAINING = Training(
    id=ID,
    created="2026-11-22T12:00:00+00:00",
    version=VERSION,
    dataset="welds",
    base_version="base",
    base_s3_uri=NO_MODEL_URI,
    promote="auto",
    max_runtime_s=3600,
    spot=False,
)
JOB = {
    "TrainingJobName": VERSION,
    "ModelArtifacts": {"S3ModelArtifacts": f"s3://wordsight-data/models/{VERSION}/output/model"},
    "AlgorithmSpecification": {"TrainingImage": "repository:train-1"},
}


class Stage:
    def __init__(self, bucket: Any) -> None:
        self.bucket, self.cloudformation = bucket, CloudFormation()
        self.clients = {"s3": bucket.meta.client, "cloudformation": self.cloudformation}
        self.settings = GateSettings(artifacts_bucket=bucket.name, serving_stack=SERVING_STACK, git_revision="a" * 40)
        self.keeper = Gatekeeper(self.settings, self.clients.__getitem__)
        self.registry = Registry(Store(bucket.name, self.clients.__getitem__))

    def commercial(self) -> None:
        self.keeper = Gatekeeper(self.settings.model_copy(update={"commercial": True}), self.clients.__getitem__)

    def leave(self, of_model: dict[str, Any] | None = None, **changes: Any) -> None:
        """A finished job's wordsight.json."""
        figures = {**metrics(**changes), "learning_curve": [{"step": 0}] * 1000}
        metadata = {
            "version": VERSION,
            "parent": "world-1",
            "data_digest": "d1",
            "metrics": figures,
            **(of_model or {}),
        }
        self.bucket.put_object(Key=f"models/{VERSION}/output/model/wordsight.json", Body=json.dumps(metadata))

    def judge(self, **changes: Any) -> dict[str, Any]:
        answer = self.keeper.judge(TRAINING.model_copy(update=changes), TrainingJob.model_validate(JOB))
        return answer.model_dump(mode="json")


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


def test_a_model_that_passes_is_registered_with_all_that_is_known_of_it(stage: Stage) -> None:
    stage.leave()
    verdict = stage.judge()
    assert verdict["gate"]["passed"] is True and verdict["model"] == VERSION
    model = stage.registry.get(VERSION)
    assert (model.parent, model.served_version, model.data_digest) == ("base", VERSION, "d1")
    assert (model.image, model.git_revision, model.dataset) == ("repository:train-1", "a" * 40, "welds")
    assert model.artifact_s3_uri == f"s3://wordsight-data/models/{VERSION}/output/model/"
    assert "gain" in model.metrics and "learning_curve" not in model.metrics


def test_it_is_promoted_where_that_was_wished(stage: Stage) -> None:
    stage.leave()
    assert stage.judge(promote="manual")["promotion"] is None
    assert stage.judge()["promotion"] == ID
    promotion = stage.registry.promotion(ID)
    assert promotion is not None and (promotion.version, promotion.state) == (VERSION, "requested")


def test_it_is_not_promoted_over_a_model_that_it_was_not_compared_with(stage: Stage) -> None:
    stage.leave()
    stage.cloudformation.model_uri = "s3://wordsight-data/models/other/"
    assert stage.judge()["promotion"] is None and stage.registry.promotion(ID) is None


def test_a_refused_model_is_kept_marked_with_the_numbers_and_not_promoted(stage: Stage) -> None:
    stage.leave(gain={**GAIN, "won": 3, "lost": 3, "mean": 0.0})
    verdict = stage.judge()
    assert verdict["gate"]["passed"] is False and verdict["promotion"] is None
    gate = stage.registry.get(VERSION).gate
    assert gate is not None and gate.figures["won"] == 3 and "wins 3 and loses 3" in gate.reasons[0]


@pytest.mark.parametrize("content", [None, b"[]", b"{}"])
def test_a_checkpoint_that_says_nothing_is_refused(stage: Stage, content: bytes | None) -> None:
    if content is not None:
        stage.bucket.put_object(Key=f"models/{VERSION}/output/model/wordsight.json", Body=content)
    assert stage.judge()["gate"]["passed"] is False
    assert stage.registry.get(VERSION).served_version is None


def test_judging_twice_changes_nothing(stage: Stage) -> None:
    stage.leave()
    first = stage.judge()
    registered = stage.registry.get(VERSION)
    assert stage.judge() == first and stage.registry.get(VERSION) == registered


def test_what_it_knows_is_registered_with_it(stage: Stage) -> None:
    stage.leave(of_model={"knows": "This model knows welds.", "languages": ["de"], "licence": "MIT"})
    stage.judge()
    model = stage.registry.get(VERSION)
    assert (model.knows, model.languages, model.licence) == ("This model knows welds.", ["de"], "MIT")


def test_a_stage_that_is_not_commercial_may_have_any_licence(stage: Stage) -> None:
    stage.leave(of_model={"licence": "CC-BY-NC-4.0"})
    assert stage.judge()["gate"]["passed"] is True


def test_a_licence_that_forbids_commercial_use_is_a_reason_to_refuse_in_a_commercial_stage(stage: Stage) -> None:
    stage.commercial()
    stage.leave(of_model={"licence": "CC-BY-NC-4.0"})
    verdict = stage.judge()
    assert verdict["gate"]["passed"] is False and verdict["promotion"] is None
    assert "CC-BY-NC-4.0, which allows no commercial use" in verdict["gate"]["reasons"][0]
