import json
from typing import Any

import pytest

from tests.lambdas.annotate.test_annotations import image, keys
from tests.lambdas.importer.conftest import ID, Worker


def test_json_lines_name_images_by_key_or_by_path_and_may_say_more_than_is_asked(worker: Worker) -> None:
    worker.upload({f"set/{n}.jpg": image(n) for n in range(4)})
    worker.upload_lines(
        "set/list.jsonl",
        {"s3_key": "uploads/set/0.jpg", "sentences": ["a weld", "größer"], "weather": "rain"},
        {"image": "1.jpg", "captions": "a seam", "split": "val"},
        {"image": f"s3://{worker.bucket.name}/uploads/set/2.jpg", "label": "crack", "task": "other"},
        {"file_name": "../set/3.jpg", "label": "pore"},
    )
    worker.ask(s3_key="uploads/set/list.jsonl", dataset="welds", task="defect", split="test")
    done = worker.work()
    assert (done.state, done.records, done.stored, done.problems) == ("done", 4, 4, 0)
    said = {tuple(each["sentences"]) or each["label"]: each for each in worker.records}
    assert {each["dataset"] for each in said.values()} == {"welds"}
    assert said["a weld", "größer"]["split"] == "test" and said["a weld", "größer"]["task"] is None
    assert said["a seam",]["split"] == "validation"
    assert (said["crack"]["task"], said["pore"]["task"]) == ("other", "defect")
    assert said["pore"]["source"] == f"import {ID}"


def test_hugging_faces_image_folder_may_lie_in_folders_per_split(worker: Worker) -> None:
    for split, number in (("train", 1), ("validation", 2)):
        worker.upload({f"pets/{split}/{number}.jpg": image(number)})
        worker.upload_lines(f"pets/{split}/metadata.jsonl", {"file_name": f"{number}.jpg", "text": f"pet {number}"})
    worker.ask(s3_prefix="uploads/pets")
    assert worker.work().stored == 2
    assert {(each["split"], *each["sentences"]) for each in worker.records} == {
        ("train", "pet 1"),
        ("validation", "pet 2"),
    }


@pytest.mark.parametrize("split", [None, "train"])
def test_a_folder_per_label_may_lie_in_folders_per_split(worker: Worker, split: str | None) -> None:
    folder = f"pets/{split}/" if split else "pets/"
    worker.upload({f"{folder}{label}/{n}.JPG": image(n) for n, label in enumerate(["cat", "big dog", "cat"])})
    worker.upload({f"{folder}cat/notes.txt": b"-", f"{folder}.DS_Store": b"-", "petsmart/owl/1.jpg": image(9)})
    worker.ask(s3_prefix="uploads/pets/", task="pet")
    assert worker.work().records == 3
    assert sorted((each["label"], each["task"], each["split"]) for each in worker.records) == [
        ("big dog", "pet", split),
        ("cat", "pet", split),
        ("cat", "pet", split),
    ]


def test_what_can_not_be_taken_in_is_told_line_by_line_and_the_rest_is(worker: Worker) -> None:
    worker.upload({"1.jpg": image(1), "broken.jpg": b"broken"})
    good = {"s3_key": "uploads/1.jpg", "sentences": "a weld"}
    lines: list[Any] = [
        b"{no json",
        b"[1]",
        json.dumps({"sentences": "a weld"}).encode(),
        json.dumps({"image": "/etc/passwd", "label": "x"}).encode(),
        json.dumps({"image": "../images/x", "label": "x"}).encode(),
        json.dumps({"s3_key": "uploads/1.jpg"}).encode(),
        json.dumps({"s3_key": "uploads/1.jpg", "label": True}).encode(),
        json.dumps({"s3_key": "uploads/1.jpg", "label": "x", "split": "holdout"}).encode(),
        json.dumps({"s3_key": "uploads/none.jpg", "label": "x"}).encode(),
        json.dumps({"s3_key": "uploads/broken.jpg", "label": "x"}).encode(),
        b"\xff\xfe",
        b"",
        json.dumps(good).encode(),
    ]
    worker.upload({"list.jsonl": b"\n".join(lines)})
    worker.ask(s3_key="uploads/list.jsonl")
    done = worker.work()
    assert (done.records, done.stored, done.problems) == (12, 1, 11)
    assert [each.place for each in done.first_problems] == [f"uploads/list.jsonl line {n}" for n in range(1, 12)]
    assert [each.problem.status for each in done.first_problems] == [400] * 8 + [404, 422, 400]
    (part,) = keys(worker.bucket, f"imports/{ID}/")
    written = worker.bucket.Object(part).get()["Body"].read().decode().splitlines()
    assert [json.loads(line)["place"] for line in written] == [each.place for each in done.first_problems]


@pytest.mark.parametrize("asked", [{"s3_prefix": "uploads/none/"}, {"s3_key": "uploads/none.jsonl"}])
def test_an_import_of_nothing_fails_with_the_reason(worker: Worker, asked: dict[str, str]) -> None:
    worker.ask(**asked)
    failed = worker.work()
    assert failed.state == "failed" and "uploads/none" in str(failed.reason)
