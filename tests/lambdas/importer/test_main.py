import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from contract.answers import Inspection
from contract.idempotency import now
from contract.imports import IMAGE_FIELDS, SENTENCE_FIELDS, AnnotationImport, AnnotationImportBody, import_key
from contract.invocation import InvocationAttributes
from contract.limits import MAX_IMAGES
from contract.problems import PreconditionFailed, ServiceUnavailable
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import STEP_MS
from lambdas.aws.inference import inspect
from lambdas.aws.s3 import Store
from lambdas.importer import main as importer_module
from lambdas.importer.main import Importer, handler
from lambdas.settings import ImporterSettings
from model.data.records import CAPTION_FIELDS
from model.data.records import IMAGE_FIELDS as DATASET_IMAGE_FIELDS
from tests.lambdas.annotate.test_annotations import image, keys
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.sagemaker import SageMaker

ID = "20260101000000-00000a"


class Worker:
    """One import of the bucket, and a worker that can be killed when it has looked at some images."""

    def __init__(self, bucket: Any, sagemaker: SageMaker) -> None:
        self.bucket = bucket
        self.store = Store(SETTINGS.data_bucket, sagemaker.connect)
        self._endpoint = Endpoint(SETTINGS.endpoint_name, sagemaker.connect)
        self.killed_after: int | None = None
        self.importer = Importer(self.store, self.look)

    def ask(self, **asked: Any) -> None:
        asked_for = AnnotationImportBody.model_validate(asked)
        importing = AnnotationImport(id=ID, created=now(), updated=now(), asked=asked_for)
        self.store.write(import_key(ID), importing.model_dump(mode="json"))

    def work(self) -> AnnotationImport:
        return self.importer.work(ID, lambda: STEP_MS + 1)

    def upload(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            self.bucket.put_object(Key=f"uploads/{name}", Body=content)

    def upload_lines(self, name: str, *lines: dict[str, Any]) -> None:
        self.upload({name: "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()})

    @property
    def records(self) -> list[dict[str, Any]]:
        return [found.value for found in self.store.read_all(keys(self.bucket, "annotations/"))]

    def look(self, images: Sequence[bytes]) -> Sequence[Inspection | Any]:
        if self.killed_after is not None:
            self.killed_after -= 1
            if self.killed_after < 0:
                self.killed_after = None
                raise ServiceUnavailable("the endpoint is Updating")
        return inspect(images, self._endpoint, InvocationAttributes())


@pytest.fixture
def worker(bucket: Any, sagemaker: SageMaker) -> Worker:
    return Worker(bucket, sagemaker)


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
        json.dumps({"s3_key": "uploads/1.jpg", "label": 3}).encode(),
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


@pytest.mark.parametrize("form", ["lines", "folders"])
def test_an_import_whose_worker_was_killed_goes_on_and_ends_with_the_same_counts(worker: Worker, form: str) -> None:
    count = MAX_IMAGES + 16
    names = [f"set/{('cat', 'dog')[n % 2]}/{n:04}.jpg" for n in range(count)]
    contents = [b"broken" if n % 30 == 7 else image(n) for n in range(count)]
    worker.upload(dict(zip(names, contents, strict=True)))
    if form == "lines":
        worker.upload_lines("list.jsonl", *({"image": name, "sentences": "a pet"} for name in names))
    worker.ask(**({"s3_key": "uploads/list.jsonl"} if form == "lines" else {"s3_prefix": "uploads/set/"}))
    worker.killed_after = 1
    with pytest.raises(ServiceUnavailable):
        worker.work()
    done = worker.work()
    assert (done.state, done.records, done.stored, done.problems) == ("done", count, count - 3, 3)
    assert len(worker.records) == count - 3 and len(done.first_problems) == 3
    parts = [worker.bucket.Object(key).get()["Body"].read().decode() for key in keys(worker.bucket, f"imports/{ID}/")]
    assert sum(part.count("\n") for part in parts) == 3


def test_a_step_done_again_after_its_worker_was_killed_before_it_said_so_changes_nothing(worker: Worker) -> None:
    worker.upload({f"set/cat/{n}.jpg": image(n) for n in range(3)})
    worker.ask(s3_prefix="uploads/set/")
    before = worker.store.read(import_key(ID))
    assert before is not None
    first = worker.work()
    worker.store.write(before.key, before.value)
    again = worker.work()
    assert (again.stored, again.records) == (first.stored, first.records) == (3, 3)
    assert len(worker.records) == 3


def test_a_worker_stops_in_time_and_the_next_one_goes_on(worker: Worker) -> None:
    worker.upload({f"set/cat/{n:03}.jpg": image(n) for n in range(MAX_IMAGES + 1)})
    worker.ask(s3_prefix="uploads/set/")
    left_ms = iter([STEP_MS + 1, STEP_MS])
    paused = worker.importer.work(ID, lambda: next(left_ms))
    assert (paused.state, paused.records) == ("running", MAX_IMAGES)
    assert worker.work().records == MAX_IMAGES + 1


def test_of_two_workers_at_one_import_the_later_one_gives_way(worker: Worker) -> None:
    worker.upload({"set/cat/1.jpg": image(1)})
    worker.ask(s3_prefix="uploads/set/")
    other = Importer(worker.store, lambda images: (worker.work(), worker.look(images))[1])
    with pytest.raises(PreconditionFailed):
        other.work(ID, lambda: STEP_MS + 1)
    assert len(worker.records) == 1


def test_images_too_large_together_are_looked_at_in_several_invocations(worker: Worker, sagemaker: SageMaker) -> None:
    size_bytes = 9_000_000
    worker.upload({f"set/cat/{n}.jpg": image(n).ljust(size_bytes) for n in range(3)})
    worker.upload({"set/cat/4.jpg": image(4).ljust(24_000_001)})
    worker.ask(s3_prefix="uploads/set/")
    done = worker.work()
    assert (done.stored, done.problems) == (3, 1)
    assert done.first_problems[0].problem.status == 413
    assert [len(request.images) for request in sagemaker.requests] == [2, 1]


@pytest.mark.parametrize("asked", [{"s3_prefix": "uploads/none/"}, {"s3_key": "uploads/none.jsonl"}])
def test_an_import_of_nothing_fails_with_the_reason(worker: Worker, asked: dict[str, str]) -> None:
    worker.ask(**asked)
    failed = worker.work()
    assert failed.state == "failed" and "uploads/none" in str(failed.reason)


def test_the_state_machine_learns_whether_there_is_more_and_can_end_an_import(
    worker: Worker, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ImporterSettings(endpoint_name=SETTINGS.endpoint_name, data_bucket=SETTINGS.data_bucket)
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    importer_module._importer.cache_clear()
    worker.upload({"set/cat/1.txt": b""})
    worker.ask(s3_prefix="uploads/set/")
    short = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: STEP_MS})
    assert handler({"id": ID}, short) == {"id": ID, "state": "running"}  # type: ignore[arg-type]
    cause = json.dumps({"errorMessage": "Task timed out after 600.00 seconds"})
    failure = {"Error": "Sandbox.Timedout", "Cause": cause}
    assert handler({"id": ID, "failure": failure}, short)["state"] == "failed"  # type: ignore[arg-type]
    found = worker.store.read(import_key(ID))
    assert found is not None and found.value["reason"].endswith("Task timed out after 600.00 seconds")


def test_lines_may_name_things_as_datasets_do() -> None:
    assert {*DATASET_IMAGE_FIELDS} < {*IMAGE_FIELDS} and {*CAPTION_FIELDS} < {*SENTENCE_FIELDS}
