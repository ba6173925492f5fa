"""Batches through the API's function and the worker, which the tests call as the state machine does."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from contract.batches import SHARD_IMAGES
from contract.limits import MAX_LABELS, MAX_SCORES
from contract.problems import BadGateway, BadRequest, ServiceUnavailable
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.s3 import Store
from lambdas.batch.main import Worker
from lambdas.batch.plan import plan
from lambdas.batch.shard import RESERVE_MS, ShardWorker
from lambdas.manage.main import create_app
from lambdas.settings import BatchSettings
from lambdas.stored.batches import read_batch
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.control_plane import StepFunctions
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.manage.test_main import TRAIN_SETTINGS
from tests.lambdas.sagemaker import JPEG_START, SageMaker, model_error_members

QUESTION = {"candidate_labels": ["cat", "dog"], "top_k": 1}
NO_IMAGE = b"no image"
PLENTY_MS = 900_000


class Killed(BaseException):
    """Ends a worker as its process's end does: nothing of it runs any more."""


@dataclass
class Intercepted:
    """A client one of whose methods is looked at before it is called."""

    client: Any
    method: str
    look: Callable[[dict[str, Any]], None]

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.client, name)
        if name != self.method:
            return inner

        def call(**request: Any) -> Any:
            self.look(request)
            return inner(**request)

        return call


@dataclass
class Stage:
    bucket: Any
    sagemaker: SageMaker = field(default_factory=SageMaker)
    stepfunctions: StepFunctions = field(default_factory=StepFunctions)
    before_invocation: Callable[[dict[str, Any]], None] = lambda _: None
    before_put: Callable[[dict[str, Any]], None] = lambda _: None
    pauses_s: list[float] = field(default_factory=list)

    def connect(self, service: str) -> Any:
        if service == "stepfunctions":
            return self.stepfunctions
        if service == "s3":
            return Intercepted(self.bucket.meta.client, "put_object", lambda request: self.before_put(request))
        runtime = self.sagemaker.client(service)
        return Intercepted(runtime, "invoke_endpoint", lambda request: self.before_invocation(request))

    @property
    def store(self) -> Store:
        return Store(self.bucket.name, self.connect)

    def ask(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
        sent = {} if body is None else {"content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        made = proxy_event(method, path, headers={**sent, **headers}, body=content, query=query)
        return Answer(create_app(TRAIN_SETTINGS, self.connect).resolve(made, CONTEXT))  # type: ignore[arg-type]

    def put(self, count: int, prefix: str = "collections/pets/", bad: tuple[int, ...] = ()) -> list[str]:
        keys = [f"{prefix}{number:05}" for number in range(count)]
        for number, key in enumerate(keys):
            image = NO_IMAGE if number in bad else JPEG_START + str(number).encode()
            self.bucket.put_object(Key=key, Body=image)
        return keys

    def manifest(self, *lines: str, key: str = "collections/pets.jsonl") -> str:
        self.bucket.put_object(Key=key, Body="".join(f"{line}\n" for line in lines).encode())
        return key

    def begun(self, **body: Any) -> str:
        answer = self.ask("POST", "/batches", {"parameters": QUESTION, **body})
        assert answer.status == 202, answer.text
        return str(answer.json["id"])

    def view(self, id: str) -> Any:
        answer = self.ask("GET", f"/batches/{id}")
        assert answer.status == 200, answer.text
        return answer.json

    def step(self, step: str, id: str, **more: Any) -> Any:
        settings = BatchSettings(endpoint_name=SETTINGS.endpoint_name, data_bucket=self.bucket.name)
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: PLENTY_MS)
        return Worker(settings, self.connect).take({"step": step, "id": id, **more}, context)  # type: ignore[arg-type]

    def shard_worker(self, left_ms: Callable[[], int] = lambda: PLENTY_MS) -> ShardWorker:
        endpoint = Endpoint(SETTINGS.endpoint_name, self.connect)
        return ShardWorker(self.store, endpoint, left_ms, self.pauses_s.append)

    def work(self, id: str) -> None:
        """Everything that the state machine does, with one retry of what was killed."""
        for shard in self.step("plan", id)["shards"]:
            try:
                self.step("shard", id, shard=shard)
            except Killed:
                self.step("shard", id, shard=shard)

    def execution(self, id: str, attempt: int = 1) -> dict[str, Any]:
        machine = TRAIN_SETTINGS.batch_machine_arn.replace(":stateMachine:", ":execution:")
        return self.stepfunctions.executions[f"{machine}:{id}-{attempt}"]

    def lines(self, prefix: str) -> list[dict[str, Any]]:
        found = sorted(self.bucket.objects.filter(Prefix=prefix), key=lambda each: each.key)
        return [json.loads(line) for each in found for line in each.get()["Body"].read().splitlines()]


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


def kill_at(numbers: set[int]) -> Callable[[dict[str, Any]], None]:
    """Kill at the calls of these numbers."""
    calls = iter(range(1_000_000))

    def look(_: dict[str, Any]) -> None:
        if next(calls) in numbers:
            raise Killed

    return look


def test_two_thousand_images_are_classified_once_each_although_the_worker_is_killed(stage: Stage) -> None:
    bad = tuple(range(0, 2000, 100))
    keys = stage.put(2000, bad=bad)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.before_invocation = kill_at({12})  # in the midst of the second shard
    stage.work(id)
    view = stage.view(id)
    assert (view["state"], view["images"], view["done_images"]) == ("done", 2000, 2000)
    assert (view["results"], view["problems"], view["done_shards"]) == (1980, 20, 2000 // SHARD_IMAGES)
    results, problems = stage.lines(view["results_s3_prefix"]), stage.lines(view["problems_s3_prefix"])
    assert [each["s3_key"] for each in results] == [key for i, key in enumerate(keys) if i not in bad]
    assert [each["place"] for each in problems] == [keys[i] for i in bad]
    assert {each["problem"]["status"] for each in problems} == {422}
    assert {each["model_version"] for each in results} == {"tiny@1"}
    assert all(len(each["answer"]) == 1 and each["answer"][0]["label"] in ("cat", "dog") for each in results)


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
    batch = read_batch(stage.store, id)
    times: Iterator[int] = iter([PLENTY_MS, 0])
    found = plan(stage.store, batch, lambda: next(times))
    assert (found.complete, found.shards) == (False, 8)
    assert stage.view(id)["images"] is None and stage.view(id)["state"] == "planning"
    assert stage.step("plan", id) == {"complete": True, "shards": list(range(10))}
    shards = [
        json.loads(each.get()["Body"].read()) for each in stage.bucket.objects.filter(Prefix=f"batches/{id}/shards")
    ]
    assert [item["place"] for shard in shards for item in shard["items"]] == [f"uploads/{n}" for n in range(count)]


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


def test_an_overloaded_endpoint_is_waited_for(stage: Stage) -> None:
    stage.put(2)
    id = stage.begun(s3_prefix="collections/pets/")
    stage.step("plan", id)
    busy = json.dumps({"detail": "busy", "retry_after_s": 7})
    stage.sagemaker.failure = (424, "ModelError", model_error_members(429, busy))
    left = iter([PLENTY_MS, PLENTY_MS, RESERVE_MS])
    batch = read_batch(stage.store, id)
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


def test_a_batch_without_images_can_not_be_planned(stage: Stage) -> None:
    id = stage.begun(s3_key=stage.manifest(""))
    with pytest.raises(BadRequest, match=r"no images in 'collections/pets\.jsonl'"):
        stage.step("plan", id)


def test_a_repeated_request_starts_one_batch(stage: Stage) -> None:
    stage.put(1)
    body = {"s3_prefix": "collections/pets/", "parameters": QUESTION}
    first, second = (stage.ask("POST", "/batches", body, **{"idempotency-key": "k"}) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert len(stage.stepfunctions.executions) == len(stage.ask("GET", "/batches").json["batches"]) == 1


def test_batches_are_listed_the_newest_first(stage: Stage) -> None:
    stage.put(1)
    batch = read_batch(stage.store, stage.begun(s3_prefix="collections/")).model_dump()
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
