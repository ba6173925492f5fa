"""Models and their promotions through the API's function."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.models import NO_MODEL_URI, Gate, Promotion
from tests.lambdas.manage.conftest import MACHINE, MODEL_URI, Stage, add


def test_models_are_listed_with_the_base_first_and_the_live_one_marked(stage: Stage) -> None:
    stage.trained()
    listed = stage.ask("GET", "/models").json
    assert [(each["version"], each["live"]) for each in listed["models"]] == [("base", True), ("one", False)]
    assert listed["live_s3_uri"] == NO_MODEL_URI and listed["rolling_out"] is None
    stage.cloudformation.model_uri = MODEL_URI
    assert stage.ask("GET", "/models/one").json["live"] is True
    assert stage.ask("GET", "/models/one").json["metrics"] == {"step": 300}
    assert stage.ask("GET", "/models/two").status == 404


def test_promoting_starts_the_machine_and_shows_what_rolls_out(stage: Stage) -> None:
    stage.trained()
    answer = stage.ask("POST", "/models/one/promote")
    assert (answer.status, answer.json["state"], answer.json["artifact_s3_uri"]) == (202, "requested", MODEL_URI)
    id = answer.json["id"]
    assert stage.execution(id, "Promotion")["input"] == {"promotion": id}
    assert stage.ask("GET", "/models").json["rolling_out"]["id"] == id
    assert stage.ask("GET", "/models/one").json["promotion"]["id"] == id


def test_a_promotion_that_never_began_has_failed_and_nothing_rolls_out(stage: Stage) -> None:
    view = stage.started(promote="auto")
    stage.trained(version=view["version"])
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    promotion = Promotion(id=view["id"], version=view["version"], artifact_s3_uri=MODEL_URI, created=an_hour_ago)
    stage.registry.put(promotion)
    assert stage.ask("GET", "/models").json["rolling_out"] is None
    told = stage.ask("GET", f"/models/{view['version']}").json["promotion"]
    assert told["state"] == "failed" and "promote the version again" in told["reason"]
    training = stage.ask("GET", f"/trainings/{view['id']}").json
    assert (training["state"], training["reason"]) == ("done", told["reason"])
    stage.stepfunctions.start_execution(stateMachineArn=f"{MACHINE}Promotion", name=view["id"], input="{}")
    assert stage.ask("GET", "/models").json["rolling_out"]["state"] == "requested"


UNENDED = ("requested", "updating", "verifying", "restoring")


@pytest.mark.parametrize("state", UNENDED)
def test_a_promotion_goes_on_while_its_execution_runs(stage: Stage, state: str) -> None:
    stage.trained()
    id = rolling_out(stage, state)
    told = stage.ask("GET", "/models").json["rolling_out"]
    assert (told["id"], told["state"]) == (id, state)


@pytest.mark.parametrize("state", UNENDED)
@pytest.mark.parametrize("status", ["TIMED_OUT", "ABORTED", "FAILED"])
def test_a_promotion_whose_execution_ended_without_a_word_has_failed(stage: Stage, state: str, status: str) -> None:
    stage.trained()
    id = rolling_out(stage, state)
    stage.execution(id, "Promotion").update(status=status, cause="it took six hours")
    assert stage.ask("GET", "/models").json["rolling_out"] is None
    told = stage.ask("GET", "/models/one").json["promotion"]
    assert told["state"] == "failed"
    assert f"while it was {state} (its execution ended as {status}: it took six hours)" in told["reason"]
    assert stage.ask("POST", "/models/one/promote").status == 202


@pytest.mark.parametrize("state", UNENDED[1:])
def test_a_promotion_whose_execution_is_forgotten_has_failed(stage: Stage, state: str) -> None:
    stage.trained()
    id = rolling_out(stage, state)
    stage.stepfunctions.executions.clear()
    told = stage.ask("GET", "/models/one").json["promotion"]
    assert told["id"] == id and told["state"] == "failed"
    assert "nothing is known of its execution any more" in told["reason"]


def test_a_promotion_that_ends_between_two_looks_is_told_as_it_ended(stage: Stage) -> None:
    stage.trained()
    id = rolling_out(stage, "verifying")
    describe = stage.stepfunctions.describe_execution

    def ended(**request: Any) -> dict[str, Any]:
        promotion = stage.registry.promotion(id)
        assert promotion is not None
        stage.registry.put(promotion.model_copy(update={"state": "live"}))
        stage.execution(id, "Promotion").update(status="SUCCEEDED")
        return describe(**request)

    stage.stepfunctions.describe_execution = ended  # type: ignore[method-assign]
    told = stage.ask("GET", "/models/one").json["promotion"]
    assert (told["state"], told["reason"]) == ("live", None)


def rolling_out(stage: Stage, state: str) -> str:
    """The id of a promotion of the version one that has come so far."""
    id: str = stage.ask("POST", "/models/one/promote").json["id"]
    promotion = stage.registry.promotion(id)
    assert promotion is not None
    stage.registry.put(promotion.model_copy(update={"state": state}))
    return id


def test_the_way_back_to_the_base_is_a_promotion_too(stage: Stage) -> None:
    answer = stage.ask("POST", "/models/base/promote", {})
    assert (answer.status, answer.json["artifact_s3_uri"]) == (202, NO_MODEL_URI)


def test_what_the_gate_refused_goes_live_by_force_only(stage: Stage) -> None:
    stage.trained(gate=Gate(passed=False, reasons=["it is not better"]))
    refused = stage.ask("POST", "/models/one/promote")
    assert refused.status == 409 and "it is not better" in refused.detail and "force" in refused.detail
    assert stage.ask("POST", "/models/one/promote", {"force": True}).status == 202


def test_nothing_is_promoted_while_the_stack_is_being_changed(stage: Stage) -> None:
    stage.trained()
    stage.cloudformation.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    answer = stage.ask("POST", "/models/one/promote")
    assert answer.status == 409 and "UPDATE_ROLLBACK_IN_PROGRESS" in answer.detail
    assert answer.headers["retry-after"] == "30" and stage.stepfunctions.executions == {}


def test_a_promotion_sent_twice_is_one(stage: Stage) -> None:
    stage.trained()
    answers = [stage.ask("POST", "/models/one/promote", **{"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].json["id"] == answers[1].json["id"] and len(stage.stepfunctions.executions) == 1


def test_a_version_is_given_once(uploaded: Stage) -> None:
    assert add(uploaded).status == 201
    assert add(uploaded).status == 201  # the same again
    uploaded.trained()
    for version in ("one", "base"):
        assert add(uploaded, version=version).status == 409


def test_the_files_of_a_checkpoint_go_into_a_folder_of_their_own(stage: Stage) -> None:
    answer = stage.ask("POST", "/models/uploads", {"files": ["config.json", "model.safetensors", "config.json"]})
    again = stage.ask("POST", "/models/uploads", {"files": ["config.json"]})
    assert answer.status == 201 and answer.json["s3_uri"] != again.json["s3_uri"]
    folder = answer.json["s3_uri"].removeprefix(f"s3://{stage.bucket.name}/")
    assert folder.startswith("models/uploads/") and folder.endswith("/")
    assert [each["name"] for each in answer.json["uploads"]] == ["config.json", "model.safetensors"]
    for upload in answer.json["uploads"]:
        assert upload["fields"]["key"] == folder + upload["name"]
        conditions = json.loads(base64.b64decode(upload["fields"]["policy"]))["conditions"]
        assert {"key": folder + upload["name"]} in conditions
        assert ["content-length-range", 0, upload["max_bytes"]] in conditions


def test_no_version_is_called_like_the_route(uploaded: Stage) -> None:
    assert "choose another version" in add(uploaded, version="uploads").detail
