import json
from collections.abc import Iterator

import pytest

from contract.batches import SHARD_IMAGES
from contract.problems import BadRequest
from lambdas.batch.plan import plan
from lambdas.stored.batches import load_batch
from tests.lambdas.batch.conftest import PLENTY_MS, Stage


def test_a_manifest_names_the_images_and_its_bad_lines_are_problems(stage: Stage) -> None:
    first, second = stage.put(2)
    absent = "collections/absent"
    lines = [json.dumps({"s3_key": key}) for key in (second, absent, "tasks/secret.json")]
    key = stage.manifest(lines[0], "{", lines[1], "", "[]", lines[2], json.dumps({"s3_key": first}))
    id = stage.begun(s3_key=key)
    stage.work(id)
    view = stage.view(id)
    assert (view["images"], view["results"], view["problems"]) == (6, 2, 4)
    assert [each["s3_key"] for each in stage.lines(view["results_s3_prefix"])] == [second, first]
    problems = {each["place"]: each["problem"] for each in stage.lines(view["problems_s3_prefix"])}
    assert problems.keys() == {f"{key} line 2", absent, f"{key} line 5", f"{key} line 6"}
    assert problems[absent]["status"] == 404
    assert "collections/" in problems[f"{key} line 6"]["detail"]


def test_listing_goes_on_where_an_earlier_call_ran_out_of_time(stage: Stage) -> None:
    count = 9 * SHARD_IMAGES + 3
    key = stage.manifest(*(json.dumps({"s3_key": f"uploads/{number}"}) for number in range(count)))
    id = stage.begun(s3_key=key)
    batch = load_batch(stage.store, id).value
    times: Iterator[int] = iter([PLENTY_MS, 0])
    found = plan(stage.store, batch, lambda: next(times))
    assert (found.complete, found.shards) == (False, 8)
    assert stage.view(id)["images"] is None and stage.view(id)["state"] == "planning"
    assert stage.step("plan", id) == {"complete": True, "shards": list(range(10))}
    shards = [
        json.loads(each.get()["Body"].read()) for each in stage.bucket.objects.filter(Prefix=f"batches/{id}/shards")
    ]
    assert [item["place"] for shard in shards for item in shard["items"]] == [f"uploads/{n}" for n in range(count)]


def test_a_batch_without_images_can_not_be_planned(stage: Stage) -> None:
    id = stage.begun(s3_key=stage.manifest(""))
    with pytest.raises(BadRequest, match=r"no images in 'collections/pets\.jsonl'"):
        stage.step("plan", id)
