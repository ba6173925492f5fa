import json
from typing import Any

import pytest

from contract.limits import MAX_LABELS, MAX_SCORES
from contract.problems import BadGateway, ServiceUnavailable
from lambdas.aws.endpoint import Endpoint
from lambdas.batch.shard import RESERVE_MS, ShardWorker
from lambdas.stored.batches import load_batch
from tests.lambdas.batch.conftest import PLENTY_MS, Killed, Stage
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.sagemaker import JPEG_START, model_error_members


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


def test_one_call_asks_of_no_more_images_than_its_answer_has_room_for(stage: Stage) -> None:
    stage.put(7)
    labels = [str(number) for number in range(MAX_LABELS)]
    id = stage.begun(s3_prefix="collections/pets/", parameters={"candidate_labels": labels})
    stage.work(id)
    assert [len(request.images) for request in stage.sagemaker.requests] == [MAX_SCORES // MAX_LABELS, 2]
    assert stage.view(id)["results"] == 7
