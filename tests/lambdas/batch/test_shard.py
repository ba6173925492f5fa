import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.limits import MAX_LABELS, MAX_SCORES
from contract.problems import BadGateway, ServiceUnavailable
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.patience import RESERVE_MS
from lambdas.batch.shard import ShardWorker
from lambdas.stored.batches import load_batch
from tests.lambdas.batch.conftest import PLENTY_MS, Killed, Stage
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.control_plane import client_error
from tests.lambdas.sagemaker import JPEG_START, model_error_members
from tests.lambdas.teach.conftest import Stage as Lessons


def test_a_worker_that_is_killed_between_its_files_leaves_nothing_that_counts(stage: Stage) -> None:
    stage.put(3, bad=(1,))
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)

    def look(request: dict[str, Any]) -> None:
        if "/done/" in request["Key"]:
            raise Killed

    stage.before_put = look
    with pytest.raises(Killed):
        stage.step("shard", id, shard=0)
    assert (stage.view(id)["state"], stage.view(id)["done_images"]) == ("running", 0)
    stage.before_put = lambda _: None
    stage.work(id)
    view = stage.view(id)
    assert (view["state"], view["results"], view["problems"]) == ("done", 2, 1)
    assert len(stage.lines(view["results_s3_prefix"])) == 2 and len(stage.lines(view["problems_s3_prefix"])) == 1


def test_an_overloaded_endpoint_is_waited_for(stage: Stage) -> None:
    stage.put(2)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    busy = json.dumps({"detail": "busy", "retry_after_s": 7})
    stage.sagemaker.failure = (424, "ModelError", model_error_members(429, busy))
    left = iter([PLENTY_MS, PLENTY_MS, RESERVE_MS])
    batch = load_batch(stage.store, id).value
    with pytest.raises(ServiceUnavailable, match="busy"):
        stage.shard_worker(lambda: next(left)).work(batch, 0)
    assert len(stage.pauses_s) == 2 and all(7 <= pause_s <= 14 for pause_s in stage.pauses_s)
    assert stage.view(id)["done_images"] == 0

    def recover(_: float) -> None:
        stage.sagemaker.failure = None

    endpoint = Endpoint(SETTINGS.endpoint_name, stage.connect)
    worker = ShardWorker(stage.store, endpoint, lambda: PLENTY_MS, recover)
    assert worker.work(batch, 0) == (2, 0)


def test_an_image_at_which_the_endpoint_fails_takes_no_other_with_it(stage: Stage) -> None:
    keys = stage.put(9)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)

    def crash(request: dict[str, Any]) -> None:
        crashes = JPEG_START + b"4\r\n" in bytes(request["Body"])
        stage.sagemaker.failure = (424, "ModelError", model_error_members(500, "out of memory")) if crashes else None

    stage.before_invocation = crash
    assert stage.step("shard", id, shard=0) == 1
    (problem,) = stage.lines(stage.view(id)["problems_s3_prefix"])
    assert (problem["place"], problem["problem"]["status"]) == (keys[4], 502)
    assert len(stage.lines(stage.view(id)["results_s3_prefix"])) == 8


def test_an_endpoint_that_fails_at_everything_fails_the_shard_and_not_the_images(stage: Stage) -> None:
    stage.put(3)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    stage.sagemaker.failure = (424, "ModelError", model_error_members(500, "broken"))
    with pytest.raises(BadGateway, match="every image"):
        stage.step("shard", id, shard=0)
    assert stage.view(id)["done_images"] == 0


@pytest.mark.slow
def test_one_call_asks_of_no_more_images_than_its_answer_has_room_for(stage: Stage) -> None:
    stage.put(7)
    labels = [str(number) for number in range(MAX_LABELS)]
    id = stage.begun(s3_prefix="collections/pets/", parameters={"candidate_labels": labels})
    stage.work(id)
    assert [len(request.images) for request in stage.sagemaker.requests] == [MAX_SCORES // MAX_LABELS, 2]
    assert stage.view(id)["results"] == 7


REFUSALS = {
    "archived": ("InvalidObjectState", 403, "it is archived: restore it first"),
    "encrypted": ("AccessDenied", 403, "S3 says AccessDenied: not now"),
    "of a key that is gone": ("KMS.DisabledException", 400, "S3 says KMS.DisabledException"),
    "with dots that the client signs otherwise": ("SignatureDoesNotMatch", 403, "SignatureDoesNotMatch"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_object_that_s3_does_not_hand_out_is_that_lines_problem(stage: Stage, kind: str) -> None:
    code, status, said = REFUSALS[kind]
    keys = stage.put(5)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.before_get = refusing(keys[2], code, status)
    stage.work(id)
    (problem,) = stage.lines(stage.view(id)["problems_s3_prefix"])
    assert (problem["place"], problem["problem"]["status"]) == (keys[2], 422)
    assert said in problem["problem"]["detail"] and stage.view(id)["results"] == 4


def refusing(key: str, code: str, status: int, times: int = 1_000) -> Callable[[dict[str, Any]], None]:
    """S3 refuses everything whose key begins so, for so many times."""
    left = iter(range(times))

    def look(request: dict[str, Any]) -> None:
        if request["Key"].startswith(key) and next(left, None) is not None:
            raise client_error("GetObject", code, "not now", status)

    return look


def test_an_object_at_which_s3_is_slow_is_tried_again_and_then_that_lines_problem(stage: Stage) -> None:
    keys = stage.put(5)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    stage.before_get = refusing(keys[2], "SlowDown", 503, times=1)
    assert stage.step("shard", id, shard=0) == 0
    stage.before_get = refusing(keys[2], "SlowDown", 503)
    assert stage.step("shard", id, shard=0) == 1


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_store_that_is_down_fails_the_shard_and_not_its_lines(stage: Stage, count: int) -> None:
    stage.put(count)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    stage.before_get = refusing("collections/", "SlowDown", 503)
    with pytest.raises(ServiceUnavailable, match="the image store did not answer"):
        stage.step("shard", id, shard=0)
    assert stage.view(id)["done_images"] == 0


def test_a_store_that_falls_silent_at_the_last_images_fails_the_shard_and_not_its_lines(stage: Stage) -> None:
    stage.put(9)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    read = iter(range(1_000))

    def fall_silent(request: dict[str, Any]) -> None:
        if request["Key"].startswith("collections/") and next(read) >= 6:
            raise client_error("GetObject", "SlowDown", "not now", 503)

    stage.before_get = fall_silent
    with pytest.raises(ServiceUnavailable, match="the image store did not answer"):
        stage.step("shard", id, shard=0)
    assert stage.view(id)["done_images"] == 0


def test_an_image_that_ends_the_models_process_is_found_and_the_others_are_answered(stage: Stage) -> None:
    keys = stage.put(9)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    ends = {"process": 2}

    def crash(request: dict[str, Any]) -> None:
        """Image 4 ends it, and it is away for the two invocations that come next."""
        if JPEG_START + b"4\r\n" in bytes(request["Body"]):
            ends["process"] = 3
        ends["process"] = max(0, ends["process"] - 1)
        gone = (424, "ModelError", model_error_members(0, "the connection broke"))
        stage.sagemaker.failure = gone if ends["process"] else None

    stage.before_invocation = crash
    assert stage.shard_worker().work(load_batch(stage.store, id).value, 0) == (8, 1)
    (problem,) = stage.lines(stage.view(id)["problems_s3_prefix"])
    assert (problem["place"], problem["problem"]["status"]) == (keys[4], 503)


def test_a_shard_whose_only_image_is_at_fault_is_done_with_its_problem(stage: Stage) -> None:
    stage.put(1)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)

    def crash(request: dict[str, Any]) -> None:
        crashes = JPEG_START in bytes(request["Body"])  # the example is a PNG
        stage.sagemaker.failure = (424, "ModelError", model_error_members(500, "out of memory")) if crashes else None

    stage.before_invocation = crash
    assert stage.step("shard", id, shard=0) == 1
    assert stage.view(id)["problems"] == 1


class Pets(Lessons):
    """What teaches tasks, over the bucket of the batches."""

    def connect(self, service: str) -> Any:
        return self.objects if service == "s3" else super().connect(service)

    def scores(self, number: int, **parameters: Any) -> Any:
        """What POST /classify answers about an image of `Stage.put`."""
        inputs = base64.b64encode(JPEG_START + str(number).encode()).decode()
        return self.ask("POST", "/classify", {"inputs": inputs, "parameters": {"task": "pet", **parameters}}).json


def test_a_taught_task_is_answered_by_the_head_that_it_had_when_the_batch_was_accepted(stage: Stage) -> None:
    pets = Pets(stage.bucket.meta.client, stage.sagemaker)
    pets.pets()
    by_head, by_words = pets.scores(0), pets.scores(0, taught=False)
    stage.put(2)
    taught = stage.begun(s3_prefix="collections/pets/", parameters={"task": "pet"})
    untaught = stage.begun(s3_prefix="collections/pets/", parameters={"task": ["pet"], "taught": False})
    pets.say(9, "cat"), pets.teach(tasks=["pet"])
    assert pets.scores(0) not in (by_head, by_words)
    assert pets.ask("DELETE", "/tasks/pet").status == 204
    stage.sagemaker.heads.clear()
    for id, answer in ((taught, by_head), (untaught, {"pet": by_words})):
        stage.work(id)
        results = {each["s3_key"]: each["answer"] for each in stage.lines(stage.view(id)["results_s3_prefix"])}
        assert len(results) == 2 and results["collections/pets/00000"] == answer
