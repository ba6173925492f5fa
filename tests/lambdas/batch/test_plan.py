import json
from collections.abc import Iterator

import pytest

from contract.batches import MAX_NAME_CHARS, SHARD_IMAGES
from contract.problems import BadRequest
from lambdas.batch.plan import plan
from lambdas.stored.batches import load_batch
from tests.lambdas.batch.conftest import PLENTY_MS, Stage
from tests.lambdas.sagemaker import JPEG_START


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


def test_every_line_of_a_manifest_has_one_result_or_one_problem_whatever_it_holds(stage: Stage) -> None:
    (good,) = stage.put(1)
    stage.bucket.put_object(Key="images/x", Body=JPEG_START + b"short key")
    stage.bucket.put_object(Key="collections/empty", Body=b"")
    stage.bucket.put_object(Key="collections/folder/", Body=b"")
    named = json.dumps({"s3_key": good}).encode()
    lines: list[tuple[bytes, int | None]] = [  # what it holds, and the status of its problem
        (b"\xef\xbb\xbf" + named, None),
        (named + b"\r", None),
        (b'{"s3_key": "images/x"}', None),
        (named[:-1] + ', "note": "a\u2028b\u0085c"}'.encode(), None),
        (b'{"s3_key": "images/"}', 400),
        (b'{"s3_key": "collections/folder/"}', 400),
        (json.dumps({"s3_key": "collections/" + "k" * 1013}).encode(), 400),
        (json.dumps({"s3_key": "collections/" + "ü" * 510}).encode(), 400),
        (json.dumps({"s3_key": "collections/" + "k" * 1012}).encode(), 404),
        (rb'{"s3_key": "collections/\ud800"}', 400),
        (b'{"s3_key": "collections/\\u0000"}', 404),
        (b'{"s3_key": "collections/a b?c#d%2F\\"<&>"}', 404),
        (b'{"s3_key": "collections/empty"}', 422),
        (b'{"a":' * 100_000, 400),
        (b"[" * 990 + b"]" * 990, 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"1" * 5000, 400),
        (b"NaN", 400),
        (b'{"s3_key": 7}', 400),
        (b'{"s3_key": null}', 400),
        (b'{"s3_key": ""}', 400),
        (b"\xff\xfe{\0}\0", 400),
        (b"\0", 400),
        (b'{"s3_key": "' + b"m" * 3_000_000 + b'"}', 400),
        (named, None),
    ]
    key = "collections/hostile.jsonl"
    stage.bucket.put_object(Key=key, Body=b"\n \r\n\n" + b"\n\t\n".join(line for line, _ in lines))
    id = stage.begun(s3_key=key)
    stage.work(id)
    view = stage.view(id)
    assert (view["state"], view["images"]) == ("done", len(lines))
    results, problems = stage.lines(view["results_s3_prefix"]), stage.lines(view["problems_s3_prefix"])
    assert [each["s3_key"] for each in results] == [good, good, "images/x", good, good]
    assert [each["problem"]["status"] for each in problems] == [status for _, status in lines if status]
    numbers = [int(each["place"].rpartition(" line ")[2]) for each in problems if " line " in each["place"]]
    assert numbers == [4 + 2 * place for place, (_, status) in enumerate(lines) if status == 400]
    assert all(len(each["problem"]["detail"]) < 300 for each in problems)


def test_a_folder_that_a_console_made_is_no_image_of_a_prefix(stage: Stage) -> None:
    stage.put(2)
    stage.bucket.put_object(Key="collections/pets/", Body=b"")
    id = stage.begun(s3_prefix="collections/pets/")
    stage.work(id)
    assert (stage.view(id)["results"], stage.view(id)["problems"]) == (2, 0)


def test_what_a_line_calls_its_image_stands_beside_what_came_of_it(stage: Stage) -> None:
    (good,) = stage.put(1)
    names = ["pets/é.jpg", "half \ud800 of it", "x" * 5000, 7, ""]
    key = stage.manifest(
        *(json.dumps({"s3_key": good, "name": name}) for name in names), '{"s3_key": "uploads/1", "name": "b"}'
    )
    id = stage.begun(s3_key=key)
    stage.work(id)
    view = stage.view(id)
    told = [each.get("name") for each in stage.lines(view["results_s3_prefix"])]
    assert told == ["pets/é.jpg", "half ? of it", "x" * MAX_NAME_CHARS, None, None]
    assert [each["name"] for each in stage.lines(view["problems_s3_prefix"])] == ["b"]
