import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from lambdas.annotate.main import add_task_routes
from lambdas.aws.clients import connect
from lambdas.aws.functions import Function
from lambdas.aws.s3 import Store
from lambdas.web.resolver import Resolver
from tests.lambdas.classify.test_main import JPEG, post
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT, SETTINGS, Call
from tests.lambdas.control_plane import Functions
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.sagemaker import SageMaker

WEATHER = {"candidate_labels": ["rain", "fog"], "multi_label": True}
JSON = {"content-type": "application/json"}


def put(name: str, task: object, **conditions: str) -> dict[str, Any]:
    headers = JSON | {header.replace("_", "-"): value for header, value in conditions.items()}
    return proxy_event("PUT", f"/tasks/{name}", headers=headers, body=json.dumps(task).encode())


def get(name: str = "", query: str = "") -> dict[str, Any]:
    return proxy_event("GET", f"/tasks/{name}".rstrip("/"), query=query)


def tasks_over(s3: Any) -> Resolver:
    """The routes alone, with another client of S3."""
    app = Resolver((), Logger(service="test"))
    functions = Function(ANNOTATE_SETTINGS.teach_function_arn, lambda _: Functions())
    add_task_routes(app, Store(SETTINGS.data_bucket, lambda _: s3), functions)
    return app


class TestOneTask:
    def test_is_read_as_it_was_saved_and_says_so_when_it_is_new(self, annotate: Call) -> None:
        saved = annotate(put("weather", WEATHER | {"description": "the camera"}))
        assert saved.status == 201
        read = annotate(get("weather"))
        assert read.status == 200 and read.headers["etag"] == saved.headers["etag"]
        assert [label["label"] for label in read.json["candidate_labels"]] == ["rain", "fog"]
        assert read.json["description"] == "the camera" and read.json["multi_label"] is True
        assert annotate(put("weather", WEATHER)).status == 200

    def test_can_be_put_back_as_it_was_read(self, annotate: Call) -> None:
        first = annotate(put("weather", WEATHER))
        again = annotate(put("weather", annotate(get("weather")).json, if_match=first.headers["etag"]))
        assert again.status == 200 and again.json == first.json

    def test_is_listed_whatever_else_lies_beside_it(self, annotate: Call, bucket: Any) -> None:
        annotate(put("weather", WEATHER))
        for stray in ("tasks/", "tasks/notes.txt", "tasks/old/weather.json", "tasks/Weather.json"):
            bucket.put_object(Key=stray, Body=b"")
        assert [task["name"] for task in annotate(get()).json["tasks"]] == ["weather"]

    def test_is_forgotten(self, annotate: Call) -> None:
        annotate(put("weather", WEATHER))
        forget = proxy_event("DELETE", "/tasks/weather")
        assert annotate(forget).status == 204
        assert annotate(get("weather")).status == 404
        assert "'weather'" in annotate(forget).detail

    @pytest.mark.parametrize("name", ["Weather", "-a", "a" * 64, "a.b"])
    def test_needs_a_name_that_fits_an_address(self, annotate: Call, name: str) -> None:
        answer = annotate(put(name, WEATHER))
        assert answer.status == 400 and "lower-case letters, digits" in answer.detail

    @pytest.mark.parametrize(
        "task, words",
        [
            ({"candidate_labels": ["rain"]}, "a lone label"),
            ({"candidate_labels": "a, b", "tasks": {}}, "tasks: is not a known field"),
            ({"candidate_labels": "a, b", "thresholds": {"c": 0.5}}, "'c', which is not one of the candidate_labels"),
            (
                {"candidate_labels": [str(n) for n in range(7000)], "hypothesis_template": ["{}", "a {}", "the {}"]},
                "prompts",
            ),
            ([], "must be a JSON object"),
        ],
    )
    def test_is_checked_when_it_is_saved(self, annotate: Call, task: object, words: str) -> None:
        answer = annotate(put("weather", task))
        assert answer.status == 400 and words in answer.detail
        assert annotate(get("weather")).status == 404

    def test_is_json(self, annotate: Call) -> None:
        assert annotate(proxy_event("PUT", "/tasks/weather", body=b"candidate_labels=a,b")).status == 415

    def test_is_small_enough_to_be_read_for_every_request(self, annotate: Call) -> None:
        labels = [f"{n:04}" + "x" * 900 for n in range(1200)]
        assert annotate(put("weather", {"candidate_labels": labels})).status == 413


class TestWriters:
    def test_who_has_seen_an_older_state_is_refused(self, annotate: Call) -> None:
        seen = annotate(put("weather", WEATHER)).headers["etag"]
        assert annotate(put("weather", WEATHER | {"top_k": 1}, if_match=seen)).status == 200
        late = annotate(put("weather", WEATHER | {"top_k": 2}, if_match=seen))
        assert late.status == 412 and "changed meanwhile" in late.detail
        assert annotate(proxy_event("DELETE", "/tasks/weather", headers={"if-match": seen})).status == 412
        assert annotate(get("weather")).json["top_k"] == 1

    def test_who_wants_a_new_name_gets_no_old_one(self, annotate: Call) -> None:
        assert annotate(put("weather", WEATHER, if_none_match="*")).status == 201
        assert annotate(put("weather", WEATHER | {"top_k": 1}, if_none_match="*")).status == 412

    def test_who_changes_what_is_gone_is_told(self, annotate: Call) -> None:
        assert annotate(put("weather", WEATHER, if_match="*")).status == 412

    def test_who_sends_no_condition_loses_a_race_aloud(self, bucket: Any) -> None:
        """Somebody else writes between the look and the write."""

        class Raced:
            def __getattr__(self, name: str) -> Any:
                return getattr(connect("s3"), name)

            def put_object(self, **request: Any) -> Any:
                bucket.put_object(Key="tasks/weather.json", Body=b'{"candidate_labels": ["faster"]}')
                return connect("s3").put_object(**request)

        app = tasks_over(Raced())
        for expected in (412, 412):  # where there was none, and over an older state
            assert app.resolve(put("weather", WEATHER), CONTEXT)["statusCode"] == expected  # type: ignore[arg-type]
            bucket.put_object(Key="tasks/weather.json", Body=b'{"candidate_labels": ["a", "b"]}')

    def test_twenty_at_once_lose_nothing(self, bucket: Any) -> None:
        """Each adds a label of its own to what it has read, and reads again when it is refused."""
        s3, own = OneAtATime(), threading.local()

        def ask(event: dict[str, Any]) -> Answer:
            if not hasattr(own, "app"):  # as on AWS, where each concurrent request has a process of its own
                own.app = tasks_over(s3)
            return Answer(own.app.resolve(event, CONTEXT))

        def add(label: str) -> int:
            for attempt in range(1, 200):
                read = ask(get("many"))
                task = {**read.json, "candidate_labels": [*read.json["candidate_labels"], label]}
                if ask(put("many", task, if_match=read.headers["etag"])).status == 200:
                    return attempt
            raise AssertionError(f"{label} was never taken")

        ask(put("many", WEATHER))
        with ThreadPoolExecutor(20) as writers:
            attempts = list(writers.map(add, [f"label {n}" for n in range(20)]))
        labels = {each["label"] for each in ask(get("many")).json["candidate_labels"]}
        assert labels == {"rain", "fog", *(f"label {n}" for n in range(20))}
        assert max(attempts) > 1


class OneAtATime:
    """S3 compares and writes in one step; moto would let another thread in between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(connect("s3"), name)

        def one_at_a_time(**request: Any) -> Any:
            with self._lock:
                return method(**request)

        return one_at_a_time


class TestTheList:
    @pytest.fixture
    def _five(self, annotate: Call) -> None:
        for name in "edbca":
            annotate(put(name, WEATHER | {"description": f"task {name}"}))

    def test_has_what_a_person_chooses_by(self, annotate: Call, _five: None) -> None:
        listed = annotate(get()).json
        assert [each["name"] for each in listed["tasks"]] == list("abcde") and listed["next"] is None
        first = listed["tasks"][0]
        assert (first["labels"], first["multi_label"], first["description"]) == (2, True, "task a")
        assert f'"{first["etag"]}"' == annotate(get("a")).headers["etag"]

    def test_comes_in_pages(self, annotate: Call, _five: None) -> None:
        page, seen = annotate(get(query="limit=2")).json, []
        while page["next"]:
            seen += [each["name"] for each in page["tasks"]]
            page = annotate(get(query=f"limit=2&after={page['next']}")).json
        assert [*seen, *(each["name"] for each in page["tasks"])] == list("abcde")

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=1&limit=2", "labels=2", "after=A"])
    def test_refuses_what_it_does_not_know(self, annotate: Call, query: str) -> None:
        assert annotate(get(query=query)).status == 400


class TestClassifyByTask:
    """The same container answers, so scores are compared with those of the question written out."""

    @pytest.fixture(autouse=True)
    def _saved(self, annotate: Call) -> None:
        described = [{"label": "cat", "annotations": ["it purrs"]}, "dog"]
        annotate(put("animal", {"candidate_labels": described, "top_k": 1, "description": "pets"}))
        annotate(put("weather", WEATHER))

    def ask(self, call: Call, **parameters: Any) -> Answer:
        made = proxy_event("POST", "/classify", headers={"content-type": "image/jpeg"}, body=JPEG)
        made["multiValueQueryStringParameters"] = {
            name: value if isinstance(value, list) else [value] for name, value in parameters.items()
        }
        return call(made)

    def test_a_name_asks_what_was_saved(self, call: Call) -> None:
        described = json.dumps([{"label": "cat", "annotations": ["it purrs"]}, "dog"])
        written_out = self.ask(call, candidate_labels=described, top_k="1")
        assert self.ask(call, task="animal").json == written_out.json
        assert len(written_out.json) == 1

    def test_several_names_answer_by_name(self, call: Call) -> None:
        answer = self.ask(call, task=["animal", "weather"]).json
        assert {name: len(scores) for name, scores in answer.items()} == {"animal": 1, "weather": 2}
        assert list(self.ask(call, task='["weather"]').json) == ["weather"]

    def test_what_is_said_beside_it_comes_first(self, call: Call) -> None:
        assert len(self.ask(call, task="animal", top_k="2").json) == 2

    def test_the_next_request_asks_the_new_state(self, call: Call, annotate: Call) -> None:
        self.ask(call, task="weather")
        annotate(put("weather", {"candidate_labels": ["sun", "snow"]}))
        assert {each["label"] for each in self.ask(call, task="weather").json} == {"sun", "snow"}

    def test_an_unknown_name_is_not_found_and_named(self, call: Call, sagemaker: SageMaker) -> None:
        answer = self.ask(call, task=["animal", "moods"])
        assert answer.status == 404 and "'moods'" in answer.detail and "'animal'" not in answer.detail
        assert sagemaker.calls == 0

    def test_a_bad_name_is_a_bad_request(self, call: Call) -> None:
        assert "lower-case letters" in self.ask(call, task="../x").detail

    def test_it_is_one_of_three_ways_to_ask(self, call: Call) -> None:
        assert (
            "candidate_labels and task are given together"
            in self.ask(call, task="animal", candidate_labels="a,b").detail
        )

    def test_json_asks_it_too(self, call: Call) -> None:
        body = {"inputs": ["*"], "parameters": {"task": "animal"}}
        assert call(post("/classify", body)).json[0]["status"] == 400
