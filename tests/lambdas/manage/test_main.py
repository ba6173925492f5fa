"""Trainings and models through the API's function, which is given every service it asks."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.models import NO_MODEL_URI, Gate, Model, Promotion
from lambdas.aws.s3 import Store
from lambdas.manage.main import create_app
from lambdas.settings import ManageSettings
from lambdas.stored.registry import Registry
from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation, StepFunctions, TrainingJobs
from tests.lambdas.gateway import Answer, proxy_event

SHIPPED = Path(__file__).parents[3] / "model/shipped"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"
MANAGE_SETTINGS = ManageSettings(
    data_bucket=SETTINGS.data_bucket,
    artifacts_bucket=SETTINGS.data_bucket,
    serving_stack=SERVING_STACK,
    training_machine_arn=f"{MACHINE}Training",
    promotion_machine_arn=f"{MACHINE}Promotion",
    batch_machine_arn=f"{MACHINE}Batch",
    job_name_prefix="wordsight-test-",
    max_run_s=7200,
    max_wait_s=14400,
    spot=False,
    usd_per_hour=0.5,
)
MODEL_URI = f"s3://{SETTINGS.data_bucket}/models/one/output/model/"


@dataclass
class Stage:
    bucket: Any
    settings: ManageSettings = MANAGE_SETTINGS
    cloudformation: CloudFormation = field(default_factory=CloudFormation)
    stepfunctions: StepFunctions = field(default_factory=StepFunctions)
    jobs: TrainingJobs = field(default_factory=TrainingJobs)

    def connect(self, service: str) -> Any:
        return {
            "s3": self.bucket.meta.client,
            "cloudformation": self.cloudformation,
            "stepfunctions": self.stepfunctions,
            "sagemaker": self.jobs,
        }[service]

    @property
    def registry(self) -> Registry:
        return Registry(Store(self.bucket.name, self.connect))

    def ask(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
        sent = {} if body is None else {"content-type": "application/json"}
        made = proxy_event(
            method,
            path,
            headers={**sent, **headers},
            body=json.dumps(body).encode() if body is not None else b"",
            query=query,
        )
        return Answer(create_app(self.settings, self.connect).resolve(made, CONTEXT))  # type: ignore[arg-type]

    def annotated(self, dataset: str = "welds") -> None:
        self.bucket.put_object(Key=f"annotations/{dataset}/1.json", Body="{}")

    def started(self, **body: Any) -> dict[str, Any]:
        self.annotated()
        answer = self.ask("POST", "/trainings", {"dataset": "welds", **body})
        assert answer.status == 202, answer.text
        view: dict[str, Any] = answer.json
        return view

    def execution(self, id: str, machine: str = "Training") -> dict[str, Any]:
        return self.stepfunctions.executions[f"{MACHINE.replace(':stateMachine:', ':execution:')}{machine}:{id}"]

    def trained(self, **changes: Any) -> Model:
        model = Model(
            version="one",
            parent="base",
            artifact_s3_uri=MODEL_URI,
            served_version="one",
            created="2026-11-22T12:00:00+00:00",
            source="training",
            dataset="welds",
            gate=Gate(passed=True),
            metrics={"step": 300},
        ).model_copy(update=changes)
        self.registry.add(model)
        return model


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


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
        ({"hyperparameters": {"epoch": 3}}, 400, "'epoch' is no hyperparameter: allowed are data, init, epochs"),
        ({"hyperparameters": {"lora_rank": 8, "init": "scratch"}}, 400, "lora_rank adapts what a base has learnt"),
        ({"epochs": 5}, 400, "epochs"),
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


@pytest.fixture
def uploaded(stage: Stage) -> Stage:
    for path in SHIPPED.iterdir():
        if path.is_file():
            stage.bucket.upload_file(str(path), f"models/mine/{path.name}")
    return stage


def add(stage: Stage, **changes: Any) -> Answer:
    body = {"s3_uri": f"s3://{stage.bucket.name}/models/mine", "version": "mine-1", **changes}
    return stage.ask("POST", "/models", body)


def test_a_checkpoint_of_ones_own_is_registered_by_what_it_says(uploaded: Stage) -> None:
    answer = add(uploaded, parent="base")
    assert answer.status == 201, answer.text
    metadata = json.loads((SHIPPED / "wordsight.json").read_text())
    assert answer.json["served_version"] == metadata["version"]
    assert (answer.json["source"], answer.json["parent"], answer.json["gate"]) == ("import", "base", None)
    assert uploaded.ask("POST", "/models/mine-1/promote").status == 202


def test_a_version_is_given_once(uploaded: Stage) -> None:
    assert add(uploaded).status == 201
    assert add(uploaded).status == 201  # the same again
    uploaded.trained()
    for version in ("one", "base"):
        assert add(uploaded, version=version).status == 409


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b'{"model_type": "bert"}', "model_type 'bert'"),
        ("config.json", b"{", "config.json can't be read as JSON"),
        ("config.json", None, "lacks a configuration"),
        ("model.safetensors", None, "lacks weights"),
        ("tokenizer.json", None, "lacks a tokenizer"),
        ("preprocessor_config.json", None, "lacks image sizes"),
        ("pytorch_model.bin", b"\x80", "is a pickle, which runs code"),
        ("model.safetensors", b"\x80\x04\x95 a pickle by another name", "is no safetensors file"),
        ("model.safetensors", (SHIPPED / "model.safetensors").read_bytes()[:-1], "send it again"),
        ("model.safetensors", b"\x10" + b"\0" * 7 + b'{"x": {"y": [1]}}'[:16], "can't be read as JSON"),
        ("model.safetensors", b"\x2a" + b"\0" * 7 + b'{"logit_scale": {"data_offsets": [0, 2]}} ' + b"\0\0", "lack"),
    ],
)
def test_what_the_endpoint_could_not_load_is_refused(
    uploaded: Stage, name: str, content: bytes | None, said: str
) -> None:
    if content is None:
        uploaded.bucket.Object(f"models/mine/{name}").delete()
    else:
        uploaded.bucket.put_object(Key=f"models/mine/{name}", Body=content)
    answer = add(uploaded)
    assert answer.status == 400 and said in answer.detail


@pytest.mark.parametrize(
    "s3_uri", ["s3://elsewhere/models/x/", "s3://wordsight-data/models/", "s3://wordsight-data/x/"]
)
def test_a_checkpoint_lies_under_models_of_the_artifacts_bucket(stage: Stage, s3_uri: str) -> None:
    answer = add(stage, s3_uri=s3_uri)
    assert answer.status == 400 and "a folder under s3://wordsight-data/models/" in answer.detail


def test_shards_are_looked_at_one_by_one(uploaded: Stage) -> None:
    weights = (SHIPPED / "model.safetensors").read_bytes()
    uploaded.bucket.Object("models/mine/model.safetensors").delete()
    uploaded.bucket.put_object(Key="models/mine/model-1.safetensors", Body=weights)
    index = {"weight_map": {"logit_scale": "model-1.safetensors"}}
    uploaded.bucket.put_object(Key="models/mine/model.safetensors.index.json", Body=json.dumps(index))
    assert add(uploaded).status == 201
    index["weight_map"]["other"] = "model-2.safetensors"
    uploaded.bucket.put_object(Key="models/mine/model.safetensors.index.json", Body=json.dumps(index))
    assert "names model-2.safetensors, which is not there" in add(uploaded, version="mine-2").detail


def test_answers_are_what_the_openapi_document_says(stage: Stage) -> None:
    view = stage.started()
    stage.trained(version=view["version"])
    assert conforms(view, "TrainingView")
    assert conforms(stage.ask("GET", "/trainings").json, "TrainingList")
    assert conforms(stage.ask("GET", "/models").json, "ModelList")
    assert conforms(stage.ask("GET", f"/models/{view['version']}").json, "ModelView")
    assert conforms(stage.ask("POST", f"/models/{view['version']}/promote").json, "Promotion")
    assert not conforms({**view, "state": "asleep"}, "TrainingView")
