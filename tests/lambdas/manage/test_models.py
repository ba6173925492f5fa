"""Models and their promotions through the API's function."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.model_cards import UNKNOWN, EndpointCards, ModelCard
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


DRAWINGS = ModelCard(knows="This model knows drawings.", languages=["en"], licence="MIT")
NON_COMMERCIAL = {"knows": "This model knows welds.", "licence": "CC-BY-NC-4.0"}


def test_every_model_says_what_it_knows_and_the_base_by_the_endpoint_that_has_it(stage: Stage) -> None:
    stage.endpoint.cards = EndpointCards(base=DRAWINGS)
    stage.trained(knows="This model knows welds.", languages=["de"], licence="Apache-2.0")
    base, one = stage.ask("GET", "/models").json["models"]
    assert (base["knows"], base["languages"], base["licence"]) == ("This model knows drawings.", ["en"], "MIT")
    assert (one["knows"], one["languages"], one["licence"]) == ("This model knows welds.", ["de"], "Apache-2.0")
    assert stage.ask("GET", "/models/base").json["knows"] == "This model knows drawings."
    assert stage.ask("GET", "/models/one").json["licence"] == "Apache-2.0"


def test_what_an_absent_endpoint_would_tell_is_not_known(stage: Stage) -> None:
    stage.endpoint.failure = (400, "ValidationError", {"message": "Endpoint wordsight-test not found."})
    answer = stage.ask("GET", "/models/base")
    assert (answer.status, answer.json["knows"], answer.json["licence"]) == (200, UNKNOWN, "unknown")


def test_a_checkpoint_that_is_brought_along_keeps_what_it_says_it_knows(uploaded: Stage) -> None:
    added = add(uploaded).json
    assert "drawings" in added["knows"] and (added["languages"], added["licence"]) == (["en"], "MIT")
    assert uploaded.registry.get("mine-1").licence == "MIT"


def test_of_a_checkpoint_without_metadata_its_readme_tells(uploaded: Stage) -> None:
    uploaded.bucket.Object("models/mine/wordsight.json").delete()
    uploaded.bucket.put_object(Key="models/mine/README.md", Body="---\nlicense: cc-by-nc-4.0\nlanguage: [fr]\n---\n# A")
    added = add(uploaded).json
    assert (added["licence"], added["languages"], added["knows"]) == ("cc-by-nc-4.0", ["fr"], UNKNOWN)


def commercial(stage: Stage) -> Stage:
    stage.settings = stage.settings.model_copy(update={"commercial": True})
    return stage


def test_a_commercial_stage_takes_no_checkpoint_whose_licence_forbids_it(uploaded: Stage) -> None:
    assert add(commercial(uploaded), version="mine-0").status == 201
    uploaded.bucket.Object("models/mine/wordsight.json").delete()
    uploaded.bucket.put_object(Key="models/mine/README.md", Body="---\nlicense: cc-by-nc-4.0\n---\n")
    answer = add(uploaded)
    assert answer.status == 400
    assert "the licence of mine-1 is cc-by-nc-4.0" in answer.json["detail"] and "commercial = false" in answer.text
    assert uploaded.registry.find("mine-1") is None


@pytest.mark.parametrize("force", [False, True])
def test_a_commercial_stage_promotes_no_model_whose_licence_forbids_it(stage: Stage, force: bool) -> None:
    stage.trained(**NON_COMMERCIAL)
    answer = commercial(stage).ask("POST", "/models/one/promote", {"force": force})
    assert (answer.status, "CC-BY-NC-4.0" in answer.json["detail"]) == (409, True)
    assert not stage.stepfunctions.executions


def test_nor_the_base_if_its_licence_does(stage: Stage) -> None:
    stage.endpoint.cards = EndpointCards(base=ModelCard(licence="apple-amlr"))
    assert commercial(stage).ask("POST", "/models/base/promote").status == 409


def test_another_stage_may_use_it(stage: Stage) -> None:
    stage.trained(**NON_COMMERCIAL)
    assert stage.ask("POST", "/models/one/promote").status == 202
