"""Batches through the API's function: accepted, told of, stopped and resumed."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from contract.batches import SHARD_IMAGES
from lambdas.stored.batches import load_batch
from tests.lambdas.batch.conftest import QUESTION, Stage


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


def test_all_images_are_asked_the_saved_tasks_as_they_were_when_the_batch_was_accepted(stage: Stage) -> None:
    stage.put(2)
    for name in ("pet", "mood"):
        stage.store.write(f"tasks/{name}.json", {"candidate_labels": [{"label": name}, {"label": "none"}]})
    id = stage.begun(s3_prefix="collections/pets/", parameters=None, task=["pet", "mood"])
    one = stage.begun(s3_prefix="collections/pets/", parameters={"task": "pet", "top_k": 1})
    stage.store.delete("tasks/pet.json")
    for each in (id, one):
        stage.work(each)
    answers = [each["answer"] for each in stage.lines(stage.view(id)["results_s3_prefix"])]
    assert all(answer.keys() == {"pet", "mood"} and len(answer["pet"]) == 2 for answer in answers)
    assert [len(each["answer"]) for each in stage.lines(stage.view(one)["results_s3_prefix"])] == [1, 1]


def test_a_batch_that_was_stopped_is_resumed_with_what_is_missing_only(stage: Stage) -> None:
    key = stage.manifest(*["no image"] * (2 * SHARD_IMAGES), json.dumps({"s3_key": stage.put(1)[0]}))
    id = stage.begun(s3_key=key)
    assert stage.execution(id)["input"] == {"id": id}
    assert stage.step("plan", id)["shards"] == [0, 1, 2]
    stage.step("shard", id, shard=1)
    assert stage.ask("POST", f"/batches/{id}/resume").status == 409
    stopped = stage.ask("DELETE", f"/batches/{id}")
    assert (stopped.status, stopped.json["state"], stopped.json["done_images"]) == (200, "stopped", SHARD_IMAGES)
    assert "ended already" in stage.ask("DELETE", f"/batches/{id}").detail
    resumed = stage.ask("POST", f"/batches/{id}/resume")
    assert (resumed.status, resumed.json["state"]) == (202, "running")
    assert stage.execution(id, attempt=2)["input"] == {"id": id}
    assert stage.step("plan", id)["shards"] == [0, 2]
    stage.work(id)
    view = stage.view(id)
    assert (view["state"], view["problems"], view["results"]) == ("done", 2 * SHARD_IMAGES, 1)
    assert "only one that is failed or stopped" in stage.ask("POST", f"/batches/{id}/resume").detail


def test_a_resume_that_was_cut_off_before_its_execution_began_is_made_good_by_the_next(stage: Stage) -> None:
    stage.put(1)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.stepfunctions.executions.clear()
    assert stage.ask("POST", f"/batches/{id}/resume").status == 202
    assert stage.execution(id)["status"] == "RUNNING"


def test_a_batch_that_failed_says_why_until_it_is_resumed(stage: Stage) -> None:
    stage.put(1)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    stage.step("fail", id, error={"Error": "BadGateway", "Cause": json.dumps({"errorMessage": "the model is broken"})})
    stage.execution(id).update(status="FAILED", cause="The specified tolerated failure threshold was exceeded")
    assert (stage.view(id)["state"], stage.view(id)["reason"]) == ("failed", "the model is broken")
    assert stage.ask("POST", f"/batches/{id}/resume").json["reason"] is None
    stage.execution(id, attempt=2).update(status="FAILED", cause="cut off")
    assert stage.view(id)["reason"] == "cut off"


def test_a_repeated_request_starts_one_batch(stage: Stage) -> None:
    stage.put(1)
    body = {"s3_prefix": "collections/pets/", "parameters": QUESTION}
    first, second = (stage.ask("POST", "/batches", body, **{"idempotency-key": "k"}) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert len(stage.stepfunctions.executions) == len(stage.ask("GET", "/batches").json["batches"]) == 1


def test_batches_are_listed_the_newest_first(stage: Stage) -> None:
    stage.put(1)
    batch = load_batch(stage.store, stage.begun(s3_prefix="collections/")).value.model_dump()
    ids = [f"2026010{day}000000-aaaaaa" for day in (3, 2, 1)]
    for id in ids:
        stage.store.write(f"batches/{id}/batch.json", {**batch, "id": id})
    assert [each["id"] for each in stage.ask("GET", "/batches").json["batches"]] == [batch["id"], *ids]
    page = stage.ask("GET", "/batches", query=f"limit=1&after={ids[0]}").json
    assert ([each["id"] for each in page["batches"]], page["next"]) == ([ids[1]], ids[1])


@pytest.mark.parametrize(
    "change, status, sentence",
    [
        ({"s3_prefix": "collections/absent/"}, 404, "no object's key begins with 'collections/absent/'"),
        ({"s3_prefix": None, "s3_key": "collections/pet"}, 404, "there is no object 'collections/pet'"),
        ({"s3_prefix": "models/"}, 400, "lie under uploads/ or collections/ or images/"),
        ({"s3_key": "collections/pets.jsonl"}, 400, "2 of s3_key and s3_prefix"),
        ({"parameters": None}, 400, "give one of task"),
        ({"task": "pet"}, 400, "give one of task"),
        ({"parameters": None, "task": "pet"}, 404, "no saved task 'pet'"),
        ({"parameters": {"candidate_labels": ["a"]}}, 400, "lone label"),
    ],
)
def test_what_can_not_be_done_is_said_at_once(stage: Stage, change: dict[str, Any], status: int, sentence: str) -> None:
    stage.put(1)
    answer = stage.ask("POST", "/batches", {"s3_prefix": "collections/pets/", "parameters": QUESTION, **change})
    assert answer.status == status and sentence in answer.detail
    assert not stage.stepfunctions.executions


def test_an_id_that_no_batch_has_is_not_found(stage: Stage) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/resume")):
        assert stage.ask(method, f"/batches/20260101000000-aaaaaa{path}").status == 404
    assert stage.ask("GET", "/batches/1").status == 400


def test_the_lines_of_a_batch_can_be_had_from_addresses_page_by_page(stage: Stage) -> None:
    key = stage.manifest(*["no image"] * SHARD_IMAGES, json.dumps({"s3_key": stage.put(1)[0], "name": "pets/1.jpg"}))
    id = stage.begun(s3_key=key)
    stage.work(id)
    first = stage.ask("GET", f"/batches/{id}/files", query="limit=1").json
    assert (first["results"], len(first["problems"]), first["next"]) == ([], 1, "0")
    second = stage.ask("GET", f"/batches/{id}/files", query=f"limit=1&after={first['next']}").json
    (url,) = second["results"]
    asked = urlsplit(url)
    assert asked.path.endswith(f"/batches/{id}/results/000001.jsonl") and "Signature" in asked.query
    assert (second["problems"], second["next"]) == ([], None)
    assert [each["name"] for each in stage.lines(stage.view(id)["results_s3_prefix"])] == ["pets/1.jpg"]
    assert "what the page before answered" in stage.ask("GET", f"/batches/{id}/files", query="after=x").detail
