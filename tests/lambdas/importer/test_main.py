import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from contract.imports import import_key
from contract.limits import MAX_IMAGES, MAX_INVOCATION_BYTES
from contract.problems import ModelStopped, PreconditionFailed, ProblemError, TooManyRequests
from lambdas.aws.clients import connect_worker
from lambdas.aws.executions import STEP_MS
from lambdas.aws.inference import Look
from lambdas.importer.main import Importer, handler
from lambdas.settings import ImporterSettings
from tests.lambdas.annotate.test_annotations import image, keys
from tests.lambdas.batch.conftest import PLENTY_MS, Killed
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT
from tests.lambdas.importer.conftest import ID, Worker
from tests.lambdas.sagemaker import SageMaker
from tests.servers import Quiet, serving


@pytest.mark.slow
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
    with pytest.raises(Killed):
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
    assert (paused.state, paused.records, worker.taught) == ("running", MAX_IMAGES, 0)
    assert worker.work().records == MAX_IMAGES + 1
    assert worker.taught == 1, "once nothing is left"


def test_of_two_workers_at_one_import_the_later_one_gives_way(worker: Worker) -> None:
    worker.upload({"set/cat/1.jpg": image(1)})
    worker.ask(s3_prefix="uploads/set/")
    other = Importer(
        worker.store, lambda images: (worker.work(), worker.look(images))[1], worker.teach, MAX_INVOCATION_BYTES
    )
    with pytest.raises(PreconditionFailed):
        other.work(ID, lambda: STEP_MS + 1)
    assert len(worker.records) == 1


def test_an_image_that_ends_the_models_process_takes_no_other_with_it(worker: Worker) -> None:
    worker.upload({f"set/cat/{n}.jpg": image(n) for n in range(5)})
    worker.ask(s3_prefix="uploads/set/")

    def look(images: Sequence[bytes]) -> Sequence[Look | ProblemError]:
        if image(3) in images:
            raise ModelStopped("the model stopped at this request and is started again", retry_after_s=2)
        return worker.look(images)

    pauses_s: list[float] = []
    done = Importer(worker.store, look, worker.teach, MAX_INVOCATION_BYTES, pauses_s.append).work(ID, lambda: PLENTY_MS)
    assert (done.state, done.stored, done.problems) == ("done", 4, 1)
    assert [(each.place, each.problem.status) for each in done.first_problems] == [("uploads/set/cat/3.jpg", 503)]


def test_an_image_that_the_container_turns_away_for_the_moment_is_shown_again(worker: Worker) -> None:
    worker.upload({f"set/cat/{n}.jpg": image(n) for n in range(5)})
    worker.ask(s3_prefix="uploads/set/")
    shown: list[int] = []

    def look(images: Sequence[bytes]) -> Sequence[Look | ProblemError]:
        shown.append(len(images))
        crowded = TooManyRequests("4 requests wait with images that take long to decode: try again")
        turned_away = image(3) if len(shown) < 3 else b""
        return [crowded if each == turned_away else worker.look([each])[0] for each in images]

    pauses_s: list[float] = []
    done = Importer(worker.store, look, worker.teach, MAX_INVOCATION_BYTES, pauses_s.append).work(ID, lambda: PLENTY_MS)
    assert (done.state, done.stored, done.problems) == ("done", 5, 0)
    assert shown == [5, 1, 1] and 6 <= sum(pauses_s) <= 12


def test_images_too_large_together_are_looked_at_in_several_invocations(worker: Worker, sagemaker: SageMaker) -> None:
    size_bytes = 9_000_000
    worker.upload({f"set/cat/{n}.jpg": image(n).ljust(size_bytes) for n in range(3)})
    worker.upload({"set/cat/4.jpg": image(4).ljust(24_000_001)})
    worker.ask(s3_prefix="uploads/set/")
    done = worker.work()
    assert (done.stored, done.problems) == (3, 1)
    assert done.first_problems[0].problem.status == 413
    assert [len(request.images) for request in sagemaker.requests] == [2, 1]


def test_the_state_machine_learns_whether_there_is_more_and_can_end_an_import(
    worker: Worker, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ImporterSettings(**ANNOTATE_SETTINGS.model_dump(include=set(ImporterSettings.model_fields)))
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    begun: list[bytes] = []

    class Lambda(Quiet):
        def do_POST(self) -> None:
            begun.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(202)
            self.end_headers()

    worker.upload({"set/cat/1.txt": b""})
    worker.ask(s3_prefix="uploads/set/")
    short = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: STEP_MS})
    assert handler({"id": ID}, short) == {"id": ID, "state": "running"}  # type: ignore[arg-type]
    cause = json.dumps({"errorMessage": "Task timed out after 600.00 seconds"})
    failure = {"Error": "Sandbox.Timedout", "Cause": cause}
    connect_worker.cache_clear()
    with serving(Lambda) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{port}")
        assert handler({"id": ID, "failure": failure}, short)["state"] == "failed"  # type: ignore[arg-type]
    connect_worker.cache_clear()
    assert [json.loads(event) for event in begun] == [{"tasks": [], "labels": []}]
    found = worker.store.read(import_key(ID))
    assert found is not None and found.value["reason"].endswith("Task timed out after 600.00 seconds")
