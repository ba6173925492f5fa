"""What the endpoint is asked before a promotion is one."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.models import GOLDEN_TOLERANCE, NO_MODEL_URI, Model
from contract.problems import InternalError, ServiceUnavailable
from contract.requests import parse_request
from tests.lambdas.rollout.conftest import ID, NEW_URI, OLD_URI, QUESTION, Stage
from tests.lambdas.sagemaker import infer, model_error_members


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
    assert stage.sagemaker.calls == 3  # and one that every checkpoint is asked


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


def test_a_model_that_stops_at_the_question_brings_the_old_one_back(stage: Stage) -> None:
    stage.sagemaker.failure = (424, "ModelError", model_error_members(0, "the connection broke"))
    promotion = stage.promote()
    assert "does not survive a golden question" in str(promotion.reason)
    assert stage.cloudformation.model_uri == OLD_URI


def test_a_model_that_stopped_once_at_what_others_asked_is_asked_again(stage: Stage) -> None:
    stage.sagemaker.failures = [(424, "ModelError", model_error_members(0, "the connection broke"))]
    assert stage.promote().state == "live"


def test_a_busy_endpoint_is_asked_again_by_the_state_machine(stage: Stage) -> None:
    stage.sagemaker.failure = (424, "ModelError", model_error_members(429, "{}"))
    with pytest.raises(ServiceUnavailable):
        stage.promote()
    assert stage.registry.promotion(ID).state == "verifying"  # type: ignore[union-attr]


def spoilt(stage: Stage, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Let the endpoint answer 200 with what `change` makes of each image's scores."""

    def answered(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        answer = json.loads(parsed["Body"].read())
        parsed["Body"] = io.BytesIO(json.dumps([change(scores) for scores in answer]).encode())

    stage.sagemaker.client("sagemaker-runtime").meta.events.register("after-call.sagemaker-runtime", answered)


def with_score(score: object) -> Callable[[list[dict[str, Any]]], Any]:
    return lambda scores: [{**each, "score": score} for each in scores]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scores: [], "not of the labels that were asked for"),
        (lambda scores: None, "no list of labels with scores"),
        (lambda scores: {"status": "none"}, "no list of labels with scores"),
        (with_score(None), "no list of labels with scores"),
        (with_score("high"), "no list of labels with scores"),
        (with_score(float("nan")), "no probabilities"),
        (with_score(float("inf")), "no probabilities"),
        (with_score(-0.5), "no probabilities"),
        (with_score(0.9), "no probabilities"),
        (with_score(1 / 3), "the same for any image"),
        (lambda scores: [{**each, "label": "else"} for each in scores], "not of the labels that were asked for"),
    ],
)
def test_a_model_whose_answers_are_no_scores_brings_the_old_one_back(
    stage: Stage, change: Callable[[list[dict[str, Any]]], Any], said: str
) -> None:
    spoilt(stage, change)
    promotion = stage.promote()
    assert promotion.state == "failed" and said in str(promotion.reason)
    assert str(promotion.reason).endswith("the previous model was brought back")
    assert stage.cloudformation.model_uri == OLD_URI


def test_an_image_that_the_model_makes_no_numbers_of_fails_the_promotion(stage: Stage) -> None:
    spoilt(stage, lambda scores: InternalError("the model made no numbers of this image").body())
    assert "no list of labels with scores" in str(stage.promote().reason)


@pytest.mark.parametrize(
    "golden",
    [b"[" * 100_000, b"\xff", b'{"inputs": 1}', b'{"inputs": "", "parameters": {"tasks": {}}}', b'{"scores": NaN}'],
)
def test_golden_questions_that_are_none_fail_the_promotion_and_not_its_work(stage: Stage, golden: bytes) -> None:
    stage.bucket.put_object(Key="models/new/golden.jsonl", Body=golden)
    promotion = stage.promote()
    assert str(promotion.reason).startswith("the endpoint does not answer a golden question: ")
    assert stage.cloudformation.model_uri == OLD_URI
