import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from contract.models import GOLDEN_TOLERANCE, NO_MODEL_URI, Model, Promotion
from contract.problems import NotFound, ServiceUnavailable
from contract.requests import parse_request
from lambdas.aws.s3 import Store
from lambdas.rollout.main import Rollout
from lambdas.settings import RolloutSettings
from lambdas.stored.registry import Registry
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation, client_error
from tests.lambdas.sagemaker import JPEG_START, SageMaker, infer, model_error_members

OLD_URI, NEW_URI = "s3://wordsight-data/models/old/", "s3://wordsight-data/models/new/"
ID = "20261122120000-abcdef"
QUESTION = {
    "inputs": base64.b64encode(JPEG_START + b"golden").decode(),
    "parameters": {"candidate_labels": ["cat", "dog"]},
}


@dataclass
class Stage:
    """A stage whose endpoint serves whatever checkpoint CloudFormation has made live."""

    cloudformation: CloudFormation
    sagemaker: SageMaker
    registry: Registry
    rollout: Rollout
    bucket: Any

    def promote(self, **changes: Any) -> Promotion:
        """Ask for a promotion, and take its steps as the state machine does."""
        asked = {"version": "new", "artifact_s3_uri": NEW_URI, "served_version": "new", **changes}
        self.registry.put(Promotion(id=ID, created="2026-11-22T12:00:00+00:00", **asked))
        step = "update"
        for _ in range(20):
            answer = self.rollout.step({"step": step, "promotion": ID})
            if answer["next"] in ("live", "failed"):
                break
            step = "check" if answer["next"] == "wait" else answer["next"]
        found = self.registry.promotion(ID)
        assert found is not None and found.state == answer["next"]
        assert answer["reason"] == (found.reason or "")
        return found

    def golden(self, *questions: dict[str, Any]) -> None:
        self.bucket.put_object(Key="models/new/golden.jsonl", Body="".join(json.dumps(q) + "\n" for q in questions))


@pytest.fixture
def stage(bucket: Any, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch) -> Stage:
    cloudformation = CloudFormation()
    cloudformation.model_uri = OLD_URI

    def connect(service: str) -> Any:
        clients = {"cloudformation": cloudformation, "s3": bucket.meta.client}
        if service == "sagemaker-runtime":
            versions = {OLD_URI: "old", NEW_URI: "new", NO_MODEL_URI: "base-1234"}
            sagemaker.says = type(sagemaker.says)(versions.get(cloudformation.model_uri, "unknown"))
        return clients.get(service) or sagemaker.client(service)

    settings = RolloutSettings(
        artifacts_bucket=bucket.name, serving_stack=SERVING_STACK, endpoint_name="wordsight-test"
    )
    registry = Registry(Store(bucket.name, connect))
    for version, uri in (("old", OLD_URI), ("new", NEW_URI)):
        registry.add(
            Model(version=version, artifact_s3_uri=uri, served_version=version, created="2026", source="training")
        )
    return Stage(cloudformation, sagemaker, registry, Rollout(settings, connect), bucket)


def test_a_new_version_goes_live_by_one_parameter_of_the_stack_and_nothing_else(stage: Stage) -> None:
    promotion = stage.promote()
    assert (promotion.state, promotion.reason, promotion.previous_s3_uri) == ("live", None, OLD_URI)
    (update,) = stage.cloudformation.updates
    assert update["UsePreviousTemplate"] is True and "RoleARN" not in update
    assert update["Capabilities"] == ["CAPABILITY_IAM"]
    assert update["Parameters"] == [
        {"ParameterKey": "ModelUri", "ParameterValue": NEW_URI},
        {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True},
    ]


def test_what_is_live_already_is_verified_and_not_deployed_again(stage: Stage) -> None:
    stage.cloudformation.model_uri = NEW_URI
    assert stage.promote().state == "live"
    assert stage.cloudformation.updates == [] and stage.sagemaker.calls == 1


def test_a_silent_rollback_is_seen_and_reported_with_cloudformations_first_reason(stage: Stage) -> None:
    stage.cloudformation.broken[NEW_URI] = "the container did not pass its health check"
    promotion = stage.promote()
    assert promotion.state == "failed"
    assert promotion.reason == (
        "the update was rolled back (UPDATE_ROLLBACK_COMPLETE): Endpoint: the container did not pass its health check"
    )
    assert stage.cloudformation.model_uri == OLD_URI


def test_the_base_can_go_live_again_although_its_weights_have_no_name_here(stage: Stage) -> None:
    assert stage.promote(version="base", artifact_s3_uri=NO_MODEL_URI, served_version=None).state == "live"


def test_an_endpoint_that_serves_another_version_is_found_out_and_the_old_one_brought_back(stage: Stage) -> None:
    promotion = stage.promote(served_version="quite-another")
    assert promotion.state == "failed"
    assert promotion.reason == "the endpoint serves 'new' and not 'quite-another'; the previous model was brought back"
    assert stage.cloudformation.model_uri == OLD_URI


def registered(stage: Stage, uri: str, served_version: str) -> None:
    stage.registry.add(
        Model(version="twin", artifact_s3_uri=uri, served_version=served_version, created="2026", source="import")
    )


def test_a_model_without_a_name_must_not_answer_by_the_name_of_the_one_it_replaces(stage: Stage) -> None:
    stage.cloudformation.model_uri = OLD_URI.replace("old", "twin")
    registered(stage, stage.cloudformation.model_uri, served_version="new")
    promotion = stage.promote(version="imported", artifact_s3_uri=NEW_URI, served_version=None)
    assert str(promotion.reason).startswith("the endpoint still serves 'new', which is another model than 'imported'")


def test_from_a_copy_of_the_base_the_base_comes_back_although_both_are_called_alike(stage: Stage) -> None:
    stage.cloudformation.model_uri = OLD_URI.replace("old", "twin")
    registered(stage, stage.cloudformation.model_uri, served_version="base-1234")
    assert stage.promote(version="base", artifact_s3_uri=NO_MODEL_URI, served_version=None).state == "live"


def test_the_base_must_not_answer_by_the_name_of_a_training(stage: Stage) -> None:
    stage.registry.add(
        Model(version="lazy", artifact_s3_uri="s3://x/", served_version="base-1234", created="2026", source="training")
    )
    stage.cloudformation.model_uri = "s3://x/"
    promotion = stage.promote(version="base", artifact_s3_uri=NO_MODEL_URI, served_version=None)
    assert str(promotion.reason).startswith("the endpoint still serves 'base-1234', which is another model than 'base'")


def golden_scores() -> list[dict[str, Any]]:
    scores: list[dict[str, Any]] = infer(parse_request("application/json", json.dumps(QUESTION).encode()))
    return scores


def test_golden_questions_are_asked_and_their_answers_compared(stage: Stage) -> None:
    stage.golden({**QUESTION, "scores": golden_scores()}, {**QUESTION, "scores": golden_scores()})
    assert stage.promote().state == "live"
    assert stage.sagemaker.calls == 2


def test_other_answers_than_the_checkpoint_gave_bring_the_old_model_back(stage: Stage) -> None:
    wrong = [{**each, "score": each["score"] + 1.2 * GOLDEN_TOLERANCE} for each in golden_scores()]
    stage.golden({**QUESTION, "scores": wrong})
    promotion = stage.promote()
    assert promotion.state == "failed" and "answers are not the checkpoint's: 'cat' scores" in str(promotion.reason)
    assert stage.cloudformation.model_uri == OLD_URI


def test_an_endpoint_that_fails_on_the_question_is_a_failed_promotion(stage: Stage) -> None:
    stage.sagemaker.failure = (424, "ModelError", model_error_members(500, "out of memory"))
    promotion = stage.promote()
    assert str(promotion.reason).startswith("the endpoint does not answer a golden question: the model failed")


def test_a_busy_endpoint_is_asked_again_by_the_state_machine(stage: Stage) -> None:
    stage.sagemaker.failure = (424, "ModelError", model_error_members(429, "{}"))
    with pytest.raises(ServiceUnavailable):
        stage.promote()
    assert stage.registry.promotion(ID).state == "verifying"  # type: ignore[union-attr]


def test_an_update_that_can_not_begin_is_a_failed_promotion_in_cloudformations_words(stage: Stage) -> None:
    stage.cloudformation.status = "UPDATE_IN_PROGRESS"
    stage.cloudformation.describe_stacks = _holding(stage.cloudformation)  # type: ignore[method-assign]
    promotion = stage.promote()
    assert promotion.state == "failed" and "is in UPDATE_IN_PROGRESS state and can not be updated" in str(
        promotion.reason
    )


def _holding(cloudformation: CloudFormation) -> Callable[..., dict[str, Any]]:
    """Somebody else's update, which does not end."""
    cloudformation.polls = 1000
    cloudformation._left = 1000
    return cloudformation.describe_stacks


def test_a_deployment_by_another_hand_is_not_taken_for_ones_own(stage: Stage) -> None:
    update = stage.cloudformation.update_stack

    def update_and_overtake(**request: Any) -> dict[str, Any]:
        answer = update(**request)
        stage.cloudformation._wanted = NO_MODEL_URI
        return answer

    stage.cloudformation.update_stack = update_and_overtake  # type: ignore[method-assign]
    assert stage.promote().reason == f"another deployment has made {NO_MODEL_URI} live meanwhile"


def test_a_step_that_was_taken_twice_begins_one_update(stage: Stage) -> None:
    tokens = []
    stage.registry.put(Promotion(id=ID, version="new", artifact_s3_uri=NEW_URI, served_version="new", created="2026"))
    for _ in range(2):
        stage.cloudformation.status = "UPDATE_COMPLETE"
        stage.rollout.step({"step": "update", "promotion": ID})
        tokens.append(stage.cloudformation.updates[-1]["ClientRequestToken"])
    assert tokens[0] == tokens[1]  # by which CloudFormation knows it
    assert stage.registry.promotion(ID).previous_s3_uri == OLD_URI  # type: ignore[union-attr]


def test_a_step_that_broke_is_written_down_with_what_it_said(stage: Stage) -> None:
    stage.registry.put(Promotion(id=ID, version="new", artifact_s3_uri=NEW_URI, created="2026"))
    answer = stage.rollout.step({"step": "report", "promotion": ID, "reason": "Task timed out after 300.00 seconds"})
    assert answer == {"next": "failed", "reason": "Task timed out after 300.00 seconds"}
    assert stage.registry.promotion(ID).state == "failed"  # type: ignore[union-attr]


def test_a_promotion_that_nobody_asked_for_is_an_error(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.rollout.step({"step": "update", "promotion": ID})


def test_a_throttled_cloudformation_is_asked_again_by_the_state_machine(stage: Stage) -> None:
    def throttled(**_: Any) -> Any:
        raise client_error("DescribeStacks", "Throttling", "Rate exceeded")

    stage.cloudformation.describe_stacks = throttled  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="CloudFormation did not answer"):
        stage.promote()
