import json
from typing import Any

import pytest

from contract.imports import import_key, view_of
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


def test_what_is_left_out_and_what_told_the_layout_is_seen(worker: Worker) -> None:
    worker.upload({f"set/{name}": image(n) for n, name in enumerate(["Cat/1.jpg", "cat/2.jpg", "dog/3.jpg"])})
    worker.upload({"set/.DS_Store": b"-", "set/cat/._2.jpg": b"-", "set/notes.csv": b"date,who\n", "set/cat/": b""})
    worker.ask(s3_prefix="uploads/set", task="pet")
    done = worker.work()
    view = view_of(done)
    assert (view.records, view.stored, view.layout) == (3, 3, "a folder per class: folders Cat, cat, dog")
    assert sorted(view.left_out.values()) == [1, 2] and any("notes.csv names no images" in why for why in view.left_out)
    assert view.notes == {"label 'cat' is taken for 'Cat': to the model they are the same": 1}
    assert {each["label"] for each in worker.records} == {"Cat", "dog"}


def test_images_that_no_row_names_are_counted(worker: Worker) -> None:
    worker.upload({f"set/{n}.jpg": image(n) for n in range(5)})
    worker.upload({"set/metadata.csv": b"file_name,text\n0.jpg,red\n1.jpg,blue\n"})
    worker.ask(s3_prefix="uploads/set/")
    assert view_of(worker.work()).left_out == {"they are images that no row names": 3}


def test_a_table_is_read_by_its_key(worker: Worker) -> None:
    worker.upload({"1.jpg": image(1), "list.tsv": b"filepath\ttitle\n1.jpg\ta seam\n"})
    worker.ask(s3_key="uploads/list.tsv")
    assert worker.work().stored == 1


def test_lines_without_a_suffix_are_json(worker: Worker) -> None:
    worker.upload({"1.jpg": image(1), "20260101-a": json.dumps({"image": "1.jpg", "text": "a seam"}).encode()})
    worker.ask(s3_key="uploads/20260101-a")
    assert worker.work().stored == 1


def test_an_image_of_another_bucket_or_a_shard_is_refused(worker: Worker) -> None:
    worker.upload_lines("list.jsonl", {"image": "s3://other/1.jpg", "text": "x"})
    worker.upload({"set/0.tar": b""})
    worker.ask(s3_key="uploads/list.jsonl")
    assert "must be a path below" in worker.work().first_problems[0].problem.detail
    worker.ask(s3_prefix="uploads/set/")
    assert "tar shards are read by training alone" in worker.work().first_problems[0].problem.detail


@pytest.mark.parametrize("form", ["lines", "folders"])
def test_an_import_that_an_earlier_version_began_goes_on(worker: Worker, form: str) -> None:
    worker.upload({f"set/{label}/{n}.jpg": image(n) for n, label in enumerate(["cat", "cat", "dog"])})
    worker.upload_lines(
        "set/list.jsonl", *({"image": f"{name}.jpg", "text": name} for name in ("cat/0", "cat/1", "dog/2"))
    )
    worker.ask(s3_prefix="uploads/set/")
    begun = worker.store.read(import_key(ID))
    assert begun is not None
    if form == "lines":
        line = worker.store.read_file("uploads/set/list.jsonl") or b""
        layout = {"manifests": ["uploads/set/list.jsonl"], "split_folders": False}
        cursor = {"manifest": 0, "line": 1, "offset_bytes": line.index(b"\n") + 1, "key": ""}
    else:
        layout = {"manifests": [], "split_folders": False}
        cursor = {"manifest": 0, "line": 0, "offset_bytes": 0, "key": "uploads/set/cat/0.jpg"}
    before = {name: value for name, value in begun.value.items() if name != "findings"}
    worker.store.write(begun.key, {**before, "layout": layout, "cursor": cursor, "records": 1, "stored": 1})
    done = worker.work()
    assert (done.state, done.records, done.stored) == ("done", 3, 3)
    assert len(worker.records) == 2
