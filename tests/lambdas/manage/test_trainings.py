"""Trainings through the API's function."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.models import Gate, Promotion
from contract.trainings import TrainingBody
from lambdas.manage.trainings import Trainings
from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.manage.conftest import MODEL_URI, Stage


def test_a_training_begins_with_what_was_asked_and_what_is_live(stage: Stage) -> None:
    view = stage.started(hyperparameters={"epochs": 5, "learning_rate": 1e-5, "lock_image": True}, promote="auto")
    assert (view["state"], view["base_version"], view["max_runtime_s"]) == ("snapshot", "base", 7200)
    assert view["version"] == f"wordsight-test-{view['id']}"
    given = stage.execution(view["id"])["input"]
    assert given["training"]["hyperparameters"] == {"epochs": "5", "learning_rate": "1e-05", "lock_image": "true"}
    (channel,) = given["job_request"]["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"].endswith(f"/snapshots/{view['id']}/channel.manifest")
    assert given["job_request"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}


def test_a_base_that_is_not_in_the_image_comes_as_a_channel(stage: Stage) -> None:
    stage.trained()
    stage.cloudformation.model_uri = MODEL_URI
    view = stage.started()
    channels = stage.execution(view["id"])["input"]["job_request"]["InputDataConfig"]
    assert [each["ChannelName"] for each in channels] == ["train", "base"]
    assert channels[1]["DataSource"]["S3DataSource"]["S3Uri"] == MODEL_URI
    assert view["base_version"] == "one"


def test_what_was_deployed_by_hand_is_a_base_too(stage: Stage) -> None:
    stage.cloudformation.model_uri = "s3://elsewhere/models/x/"
    view = stage.started()
    assert (view["base_version"], view["base_s3_uri"]) == (None, "s3://elsewhere/models/x/")


def test_spot_capacity_may_be_waited_for(stage: Stage) -> None:
    request = stage.execution(stage.started(spot=True, max_runtime_s=3600)["id"])["input"]["job_request"]
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 14400}
    assert request["EnableManagedSpotTraining"] is True


def test_a_training_runs_for_as_long_as_is_paid_for(stage: Stage) -> None:
    assert stage.started(max_spend_usd=0.25)["max_runtime_s"] == 1800
    assert stage.started(max_spend_usd=100)["max_runtime_s"] == 7200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"dataset": "nothing"}, 404, "the dataset 'nothing' has no annotations"),
        ({"dataset": "../x"}, 400, "dataset"),
        ({"base_version": "gone"}, 404, "there is no model 'gone'"),
        ({"max_runtime_s": 60}, 400, "max_runtime_s"),
        ({"max_runtime_s": 8000}, 400, "at most 7200 are allowed"),
        ({"max_spend_usd": 0.01}, 400, "which pays for 72 s"),
        ({"max_spend_usd": 1, "max_runtime_s": 3600}, 400, "give one of them"),
        ({"promote": "maybe"}, 400, "promote"),
        ({"hyperparameters": {"epochs": [1]}}, 400, "epochs"),
        ({"hyperparameters": {"epochs": 0}}, 400, "hyperparameter epochs is '0': input should be greater than"),
        (
            {"hyperparameters": {"epoch": 3}},
            400,
            "'epoch' is no hyperparameter: allowed are data, init, strategy, epochs",
        ),
        ({"hyperparameters": {"lora_rank": 8, "init": "scratch"}}, 400, "lora_rank adapts what a base has learnt"),
        ({"epochs": 5}, 400, "epochs"),
        ({"reference_s3_prefix": "uploads/"}, 400, "the images of a reference set lie under collections/ or images/"),
        ({"reference_s3_prefix": "images/", "hyperparameters": {"init": "scratch"}}, 400, "keeps a base's answers"),
        ({"reference_s3_prefix": "collections/none/"}, 409, "there are 0 images that the dataset does not have"),
    ],
)
def test_what_can_not_be_trained_is_refused_before_anything_is_paid(
    stage: Stage, body: dict[str, Any], status: int, said: str
) -> None:
    stage.annotated()
    answer = stage.ask("POST", "/trainings", {"dataset": "welds", **body})
    assert answer.status == status and said in answer.detail
    assert stage.stepfunctions.executions == {}


def test_the_same_request_sent_twice_is_one_training(stage: Stage) -> None:
    stage.annotated()
    key = {"idempotency-key": "k1"}
    first, second = (stage.ask("POST", "/trainings", {"dataset": "welds"}, **key) for _ in range(2))
    assert first.json["id"] == second.json["id"] and len(stage.stepfunctions.executions) == 1


SMALL = {"train_crack": 10, "train_pore": 4, "validation_crack": 2, "validation_pore": 1}


def test_a_dry_run_tells_what_a_training_would_find_take_and_cost_and_leaves_nothing(stage: Stage) -> None:
    stage.annotated(train_crack=40, train_pore=4, validation_crack=5, validation_pore=4)
    before = [found.key for found in stage.bucket.objects.all()]
    body = {"dataset": "welds", "hyperparameters": {"steps": 1000}, "max_runtime_s": 3600}
    answer = stage.ask("POST", "/trainings", body, query="dry_run=true", **{"idempotency-key": "k1"})
    assert answer.status == 200 and conforms(answer.json, "TrainingCheck")
    told = answer.json
    assert (told["starts"], told["missing"], told["base_version"]) == (True, [], "base")
    assert (told["records"], told["counted"]) == (53, 53)
    assert told["images"] == {"train": 44, "validation": 9}
    assert told["labels"] == {"": {"crack": {"train": 40, "validation": 5}, "pore": {"train": 4, "validation": 4}}}
    assert (told["telling_images"], told["needed_images"]) == (9, 5)
    assert (told["steps"], told["images_per_step"]) == (1000, 44)
    assert told["estimated_s"] == 600 + 1000 * 44 / 10 and "assumed: 10 images/s" in told["estimate"]
    assert (told["estimated_usd"], told["max_usd"]) == (0.5, 0.5)  # it is stopped before
    assert "needs 12 more of 'pore', which has 4" in told["warnings"][0]
    assert "with 9 validation images the gate may refuse a better model" in told["warnings"][1]
    assert "takes about 5,000 s, and is stopped after 3,600" in told["warnings"][2]
    assert [found.key for found in stage.bucket.objects.all()] == before and stage.stepfunctions.executions == {}


def test_what_was_accepted_tells_its_steps_time_cost_and_warnings_before_it_runs(stage: Stage) -> None:
    stage.annotated(train_crack=40, train_pore=4, validation_crack=5, validation_pore=4)
    view = stage.started(hyperparameters={"epochs": 5})
    assert (view["steps"], view["step"], view["estimated_s"], view["estimated_usd"]) == (600, None, 3240, 0.45)
    assert "needs 12 more of 'pore'" in view["warnings"][0]


def test_what_can_not_pass_the_gate_is_refused_with_what_is_missing_unless_it_is_forced(stage: Stage) -> None:
    stage.annotated(**SMALL)
    refused = stage.ask("POST", "/trainings", {"dataset": "welds"})
    assert refused.status == 409 and "there are 3: needs 6 more, for example of 'pore'" in refused.detail
    assert refused.detail.endswith("with force it is trained all the same") and stage.stepfunctions.executions == {}
    told = stage.ask("POST", "/trainings", {"dataset": "welds"}, query="dry_run=true").json
    assert (told["starts"], len(told["missing"])) == (False, 1) and told["missing"][0] in refused.detail
    forced = stage.started(force=True)
    assert forced["force"] is True and told["missing"][0] in forced["warnings"]
    assert stage.execution(forced["id"])["input"]["training"]["force"] is True


def test_without_an_image_on_either_side_force_changes_nothing(stage: Stage) -> None:
    stage.annotated("tests", test_crack=9)
    for force in (False, True):
        answer = stage.ask("POST", "/trainings", {"dataset": "tests", "force": force})
        assert answer.status == 409 and "0 images to train on and 0 for validation" in answer.detail
        assert "with force" not in answer.detail


def test_of_too_many_annotations_a_part_is_counted_and_refuses_nothing(stage: Stage) -> None:
    stage.annotated(train_crack=120)
    trainings = Trainings(stage.settings, stage.connect, read_s=0)
    told = trainings.check(TrainingBody(dataset="welds"))
    assert (told.counted, told.records, told.starts) == (100, 120, True)
    assert "there was time to count 100 of 120 annotations" in told.warnings[0]
    assert "100 images to train on and 0 for validation" in told.warnings[1] and told.missing == []
    assert told.steps == Trainings(stage.settings, stage.connect).check(TrainingBody(dataset="welds")).steps


@pytest.mark.parametrize(("query", "said"), [("dry_run=maybe", "allowed are true and false"), ("dry=1", "dry_run")])
def test_a_dry_run_that_is_misspelt_starts_nothing(stage: Stage, query: str, said: str) -> None:
    stage.annotated()
    answer = stage.ask("POST", "/trainings", {"dataset": "welds"}, query=query)
    assert answer.status == 400 and said in answer.detail and stage.stepfunctions.executions == {}
    assert stage.ask("POST", "/trainings", {"dataset": "welds"}, query="dry_run=false").status == 202


def job(**changes: Any) -> dict[str, Any]:
    return {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training", **changes}


def test_a_training_is_told_of_step_by_step_with_live_metrics(stage: Stage) -> None:
    view = stage.started()
    metrics = {"train:step": 120.0, "train:steps": 300.0, "train:loss": 0.5}
    stage.jobs.jobs[view["version"]] = job(
        FinalMetricDataList=[{"MetricName": name, "Value": value} for name, value in metrics.items()]
    )
    seen = stage.ask("GET", f"/trainings/{view['id']}").json
    assert (seen["state"], seen["status"]) == ("training", "Training")
    assert (seen["step"], seen["steps"], seen["metrics"]) == (120, 300, {"train:loss": 0.5})
    stage.jobs.jobs[view["version"]].update(TrainingJobStatus="Completed")
    assert stage.ask("GET", f"/trainings/{view['id']}").json["state"] == "gating"


def told(stage: Stage, id: str, **changes: Any) -> None:
    """What the program has written beside its states."""
    curves = [{"step": 0, "accuracy": 0.25}, {"step": 10, "loss": 0.5}]
    written = {"phase": "training", "step": 12, "steps": 300, "left_s": 80, "history": curves, **changes}
    content = json.dumps({"updated_s": time.time(), **written})
    stage.bucket.put_object(Key=f"checkpoints/{id}/progress.json", Body=content)


def test_what_the_program_tells_of_itself_is_answered_with_the_time_that_has_gone_by_since(stage: Stage) -> None:
    view = stage.started()
    path = f"/trainings/{view['id']}"
    assert (view["phase"], view["left_s"], view["history"]) == ("starting", None, [])
    stage.jobs.jobs[view["version"]] = job(
        FinalMetricDataList=[{"MetricName": "train:step", "Value": 10.0}, {"MetricName": "train:steps", "Value": 300.0}]
    )
    told(stage, view["id"], updated_s=time.time() - 30)
    seen = stage.ask("GET", path).json
    assert conforms(seen, "TrainingView")
    assert (seen["phase"], seen["step"], seen["steps"]) == ("training", 12, 300) and 45 <= seen["left_s"] <= 50
    assert [(point["step"], point["loss"], point["accuracy"]) for point in seen["history"]] == [
        (0, None, 0.25),
        (10, 0.5, None),
    ]
    (listed,) = stage.ask("GET", "/trainings").json["trainings"]
    assert (listed["phase"], listed["history"]) == ("training", [])
    told(stage, view["id"], phase="choosing", updated_s=time.time() - 300)
    seen = stage.ask("GET", path).json
    assert (seen["phase"], seen["left_s"]) == ("choosing", 0)


def test_a_machine_that_is_not_there_yet_or_no_more_has_no_phase_of_its_program(stage: Stage) -> None:
    view = stage.started()
    path = f"/trainings/{view['id']}"
    told(stage, view["id"])  # of a former start, whose machine was taken back
    stage.jobs.jobs[view["version"]] = job(SecondaryStatus="Downloading")
    assert stage.ask("GET", path).json["phase"] == "starting" and stage.ask("GET", path).json["left_s"] is None
    stage.jobs.jobs[view["version"]] = job(TrainingJobStatus="Completed", SecondaryStatus="Completed")
    assert stage.ask("GET", path).json["phase"] == "judging"
    stage.trained(version=view["version"])
    seen = stage.ask("GET", path).json
    assert (seen["phase"], seen["left_s"], len(seen["history"])) == (None, None, 2)


@pytest.mark.parametrize("content", [b"", b'{"phase": "train', b'{"phase": "sleeping", "updated_s": 1}', b"[]"])
def test_half_a_file_of_the_program_is_as_if_there_was_none(stage: Stage, content: bytes) -> None:
    view = stage.started()
    stage.jobs.jobs[view["version"]] = job()
    stage.bucket.put_object(Key=f"checkpoints/{view['id']}/progress.json", Body=content)
    seen = stage.ask("GET", f"/trainings/{view['id']}").json
    assert (seen["phase"], seen["history"]) == ("starting", [])


def test_a_passed_gate_a_refusal_and_a_promotion_are_told_apart(stage: Stage) -> None:
    view = stage.started(promote="auto")
    path = f"/trainings/{view['id']}"
    stage.trained(version=view["version"])
    seen = stage.ask("GET", path).json
    assert seen["state"] == "done" and "another model than its base is live by now" in seen["reason"]
    promotion = Promotion(id=view["id"], version=view["version"], artifact_s3_uri=MODEL_URI, created=view["created"])
    stage.registry.put(promotion)
    assert stage.ask("GET", path).json["state"] == "promoting"
    stage.registry.put(promotion.model_copy(update={"state": "failed", "reason": "rolled back"}))
    seen = stage.ask("GET", path).json
    assert (seen["state"], seen["reason"], seen["promotion"]["state"]) == ("done", "rolled back", "failed")


def test_a_refused_training_says_why_with_the_figures(stage: Stage) -> None:
    view = stage.started()
    gate = Gate(passed=False, reasons=["it is not better"], figures={"won": 3})
    stage.trained(version=view["version"], gate=gate)
    seen = stage.ask("GET", f"/trainings/{view['id']}").json
    assert (seen["state"], seen["reason"], seen["gate"]["figures"]) == ("refused", "it is not better", {"won": 3})


def test_a_failed_training_says_why_in_plain_words(stage: Stage) -> None:
    view = stage.started()
    stage.execution(view["id"]).update(status="FAILED", error="Wordsight.TrainingFailed", cause="no images in it")
    stage.jobs.jobs[view["version"]] = job(TrainingJobStatus="Failed", SecondaryStatus="Failed")
    seen = stage.ask("GET", f"/trainings/{view['id']}").json
    assert (seen["state"], seen["reason"]) == ("failed", "no images in it")


def test_stopping_saves_the_state_first_and_can_be_done_once(stage: Stage) -> None:
    view = stage.started()
    stage.jobs.jobs[view["version"]] = job()
    path = f"/trainings/{view['id']}"
    assert stage.ask("DELETE", path).json["state"] == "stopped"
    assert stage.jobs.jobs[view["version"]]["TrainingJobStatus"] == "Stopping"
    again = stage.ask("DELETE", path)
    assert again.status == 409 and "has ended already: it is stopped" in again.detail


def test_a_job_that_was_stopped_elsewhere_is_stopped_and_one_that_took_too_long_failed(stage: Stage) -> None:
    view = stage.started()
    stage.execution(view["id"]).update(status="FAILED", cause="ended")
    for ending, state in (("Stopped", "stopped"), ("MaxRuntimeExceeded", "failed")):
        stage.jobs.jobs[view["version"]] = job(TrainingJobStatus="Stopped", SecondaryStatus=ending)
        assert stage.ask("GET", f"/trainings/{view['id']}").json["state"] == state


def test_a_request_whose_execution_nobody_knows_is_queued_for_a_minute_and_then_lost(stage: Stage) -> None:
    view = stage.started()
    stage.stepfunctions.executions.clear()
    path = f"/trainings/{view['id']}"
    assert stage.ask("GET", path).json["state"] == "queued"
    stored = json.loads(stage.bucket.Object(f"trainings/{view['id']}.json").get()["Body"].read())
    stored["created"] = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    stage.bucket.put_object(Key=f"trainings/{view['id']}.json", Body=json.dumps(stored))
    seen = stage.ask("GET", path).json
    assert seen["state"] == "failed" and "nothing is known of it any more" in seen["reason"]


def test_trainings_are_listed_newest_first_page_by_page(stage: Stage) -> None:
    template = stage.started()
    stored = json.loads(stage.bucket.Object(f"trainings/{template['id']}.json").get()["Body"].read())
    ids = [f"2020010100000{n}-aaaaaa" for n in range(3)]
    for id in ids:
        stage.bucket.put_object(Key=f"trainings/{id}.json", Body=json.dumps({**stored, "id": id}))
    first = stage.ask("GET", "/trainings", query="limit=2").json
    assert [each["id"] for each in first["trainings"]] == [template["id"], ids[2]]
    second = stage.ask("GET", "/trainings", query=f"limit=2&after={first['next']}").json
    assert ([each["id"] for each in second["trainings"]], second["next"]) == ([ids[1], ids[0]], None)


def test_an_unknown_training_is_a_404_and_no_id_a_400(stage: Stage) -> None:
    assert stage.ask("GET", "/trainings/20260101000000-abcdef").status == 404
    assert stage.ask("GET", "/trainings/x").status == 400


def with_reference(stage: Stage, images: int) -> dict[str, Any]:
    stage.annotated()
    for number in range(images):
        stage.bucket.put_object(Key=f"collections/halls/{number}.jpg", Body=b"")
    stage.bucket.put_object(Key="collections/halls/list.jsonl", Body=b"")
    return {"dataset": "welds", "reference_s3_prefix": "collections/halls/"}


def test_a_reference_set_comes_as_a_channel_of_its_own(stage: Stage) -> None:
    view = stage.started(**with_reference(stage, 30))
    given = stage.execution(view["id"])["input"]
    assert view["reference_s3_prefix"] == given["training"]["reference_s3_prefix"] == "collections/halls/"
    _, channel = given["job_request"]["InputDataConfig"]
    assert channel["ChannelName"] == "reference"
    source = channel["DataSource"]["S3DataSource"]
    assert source["S3DataType"] == "ManifestFile"
    assert source["S3Uri"].endswith(f"/snapshots/{view['id']}/reference.manifest")


def test_a_dry_run_counts_the_reference_set_and_plans_with_it(stage: Stage) -> None:
    body = {**with_reference(stage, 30), "hyperparameters": {"epochs": 1000}}
    told = stage.ask("POST", "/trainings", body, query="dry_run=true").json
    assert conforms(told, "TrainingCheck") and told["starts"] and told["reference_images"] == 30
    without = stage.ask("POST", "/trainings", {**body, "reference_s3_prefix": None}, query="dry_run=true").json
    assert without["reference_images"] is None
    shown = [each["steps"] * each["images_per_step"] for each in (told, without)]
    assert shown[0] == pytest.approx(2 * shown[1], rel=0.1)  # half of each batch is of the reference set


def test_a_reference_set_that_is_too_small_is_refused_even_if_it_is_forced(stage: Stage) -> None:
    body = {**with_reference(stage, 29), "force": True}
    told = stage.ask("POST", "/trainings", body, query="dry_run=true").json
    assert not told["starts"] and "there are 29 images" in told["missing"][0]
    answer = stage.ask("POST", "/trainings", body)
    assert answer.status == 409 and "a reference set needs 30 at least" in answer.detail
    assert "with force" not in answer.detail and stage.stepfunctions.executions == {}
