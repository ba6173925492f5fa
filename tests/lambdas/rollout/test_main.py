from collections.abc import Callable
from typing import Any

import pytest

from contract.models import NO_MODEL_URI, Promotion
from contract.problems import NotFound, ServiceUnavailable
from tests.lambdas.control_plane import CloudFormation, client_error
from tests.lambdas.rollout.conftest import ID, NEW_URI, OLD_URI, UPDATE_ROLE_ARN, Stage


def test_a_new_version_goes_live_by_one_parameter_of_the_stack_and_nothing_else(stage: Stage) -> None:
    promotion = stage.promote()
    assert (promotion.state, promotion.reason, promotion.previous_s3_uri) == ("live", None, OLD_URI)
    (update,) = stage.cloudformation.updates
    assert update["UsePreviousTemplate"] is True and update["RoleARN"] == UPDATE_ROLE_ARN
    assert update["Capabilities"] == ["CAPABILITY_IAM"]
    assert update["Parameters"] == [
        {"ParameterKey": "ModelUri", "ParameterValue": NEW_URI},
        {"ParameterKey": "Paused", "UsePreviousValue": True},
        {"ParameterKey": "Other", "UsePreviousValue": True},
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
        stage.cloudformation._wanted["ModelUri"] = NO_MODEL_URI
        return answer

    stage.cloudformation.update_stack = update_and_overtake  # type: ignore[method-assign]
    assert stage.promote().reason == f"another deployment has made {NO_MODEL_URI} live meanwhile"


def test_a_step_that_was_taken_twice_begins_one_update(stage: Stage) -> None:
    tokens = []
    stage.registry.put(Promotion(id=ID, version="new", artifact_s3_uri=NEW_URI, served_version="new", created="2026"))
    for _ in range(2):
        stage.cloudformation.status = "UPDATE_COMPLETE"
        stage.step("update")
        tokens.append(stage.cloudformation.updates[-1]["ClientRequestToken"])
    assert tokens[0] == tokens[1]  # by which CloudFormation knows it
    assert stage.registry.promotion(ID).previous_s3_uri == OLD_URI  # type: ignore[union-attr]


def test_a_step_that_broke_is_written_down_with_what_it_said(stage: Stage) -> None:
    stage.registry.put(Promotion(id=ID, version="new", artifact_s3_uri=NEW_URI, created="2026"))
    answer = stage.step("report", reason="Task timed out after 300.00 seconds")
    assert answer == {"next": "failed", "reason": "Task timed out after 300.00 seconds"}
    assert stage.registry.promotion(ID).state == "failed"  # type: ignore[union-attr]


def test_a_promotion_that_nobody_asked_for_is_an_error(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.step("update")


def test_a_throttled_cloudformation_is_asked_again_by_the_state_machine(stage: Stage) -> None:
    def throttled(**_: Any) -> Any:
        raise client_error("DescribeStacks", "Throttling", "Rate exceeded")

    stage.cloudformation.describe_stacks = throttled  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="CloudFormation did not answer"):
        stage.promote()


def test_nothing_is_promoted_while_the_stage_is_paused(stage: Stage) -> None:
    stage.cloudformation.paused = "yes"
    promotion = stage.promote()
    assert (promotion.state, promotion.previous_s3_uri) == ("failed", None)
    assert "the stage is paused: POST /endpoint/resume first. Promote new when it is back" in str(promotion.reason)
    assert stage.cloudformation.updates == []
