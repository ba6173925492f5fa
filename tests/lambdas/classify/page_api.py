"""An API for the page to ask, by HTTP and in memory: it parses what it is asked by the contract, and answers by the
contract's types, so that neither the page nor these answers can drift from it.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft202012Validator
from PIL import Image

from contract.annotations import parse_annotations
from contract.images import thumbnail_size
from contract.limits import API_KEY_HEADER, MAX_LISTED_ANNOTATIONS, PROBLEM_MEDIA_TYPE
from contract.models import PromoteBody
from contract.problems import Forbidden, NotFound, PreconditionFailed, ProblemError
from contract.questions import UNKNOWN_LABEL, Task
from contract.requests import parse_request
from contract.routes import CLASSIFY, OPERATIONS, PAGE, ROUTES, STAGE_NAME, Route
from contract.taught import TeachTaskBody
from contract.trainings import TrainingBody
from contract.validation import validate
from lambdas.classify import openapi, page
from lambdas.classify.openapi_examples import DESCRIBED
from tests.lambdas.classify import page_answers as answers
from tests.servers import Quiet, serving

KEY = "9aa41cdcfb0f40d28c4ba3308d311a47"
SHARES = (0.913, 0.052, 0.021, 0.009, 0.005)
"""What a question's labels score, in their order."""
IN_A_PATH = re.compile(r"\{\w+\}")
JsonObject = dict[str, Any]


@dataclass
class Asked:
    """One request: the route, what its path and query name, and its body as the contract reads it."""

    route: Route
    names: tuple[str, ...]
    query: dict[str, list[str]]
    body: Any


@dataclass
class PageApi:
    """The state of it, and what it was asked. `problems`: by route, raised in place of an answer, the first first.
    `best`: a label that scores most wherever it is asked. `hold` is called before an answer.
    """

    key: str = KEY
    tasks: dict[str, JsonObject] = field(default_factory=lambda: {"thing": answers.THING})
    taught: dict[str, JsonObject] = field(default_factory=dict)
    models: list[JsonObject] = field(default_factory=lambda: [answers.BASE, answers.REFUSED, answers.TUNED])
    trainings: list[JsonObject] = field(default_factory=list)
    rolling: JsonObject | None = None
    knows: str | None = answers.KNOWS
    status: str = "InService"
    best: str = ""
    check: JsonObject = field(default_factory=lambda: answers.CHECK)
    problems: dict[Route, list[ProblemError]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    annotations: list[JsonObject] = field(default_factory=list)
    page: int = MAX_LISTED_ANNOTATIONS
    hold: Callable[[Asked], None] = lambda _: None

    def answer(self, route: Route, names: tuple[str, ...], query: dict[str, list[str]], body: bytes, type: str) -> Any:
        """(status, JSON, headers). Raises ProblemError, also for a request that breaks the contract."""
        asked = Asked(route, names, query, self._read(route, query, body, type))
        self.asked.append(asked)
        self.hold(asked)
        if waiting := self.problems.get(route):
            raise waiting.pop(0)
        (operation,) = (name for name, each in OPERATIONS.items() if each is route)
        answer = getattr(self, f"_{operation}", None)
        status, said, headers = answer(asked) if answer else (min(route.answers), DESCRIBED[route].answer, {})
        if said is not None:
            check(route, status, said)
        return status, said, headers

    def of(self, route: Route) -> list[Asked]:
        """What was asked of one route."""
        return [each for each in self.asked if each.route is route]

    def _read(self, route: Route, query: dict[str, list[str]], body: bytes, type: str) -> Any:
        if route is CLASSIFY:
            return parse_request(type, body, query, operation="classify")
        if route.path == "/annotations" and route.method == "POST":
            return parse_annotations(type, body, query)[0]
        model = {
            **{"/tasks/{task}": Task, "/tasks/{task}/teach": TeachTaskBody},
            **{"/trainings": TrainingBody, "/models/{version}/promote": PromoteBody},
        }
        return validate(model[route.path], json.loads(body)) if body and route.path in model else body

    def _health(self, _: Asked) -> Any:
        known = {"knows": self.knows, "languages": ["en"], "licence": "MIT"}
        return 200, {"status": self.status, "endpoint": "wordsight-dev", **known}, {}

    def _openapi(self, _: Asked) -> Any:
        return 200, _document(), {}

    def _classify(self, asked: Asked) -> Any:
        request = asked.body
        images = [self._answers(request.parameters) for _ in request.images]
        task = request.parameters.task
        headers = {**answers.HEADERS, **({"x-task-version": f"{task}=words-0f1e"} if task else {})}
        return 200, images if request.listed else images[0], headers

    def _scores(self, question: Any) -> list[JsonObject]:
        named = [*(each.label for each in question.candidate_labels), *([UNKNOWN_LABEL] if question.unknown else [])]
        labels = sorted(named, key=lambda label: label != self.best)
        shares = [*SHARES, *(0.0001 for _ in labels)]
        return [{"label": label, "score": share} for label, share in zip(labels, shares, strict=False)]

    def _answers(self, asked: Any) -> Any:
        if asked.task:
            named = {name: self._scores(validate(Task, self.tasks[name])) for name in asked.task_names}
            return named if isinstance(asked.task, list) else named[asked.task]
        return {name: self._scores(each) for name, each in asked.tasks.items()} if asked.tasks else self._scores(asked)

    def _list_tasks(self, _: Asked) -> Any:
        def summary(name: str, task: JsonObject) -> JsonObject:
            known = {"labels": len(task["candidate_labels"]), "multi_label": task.get("multi_label", False)}
            return {"name": name, "etag": "0f1e", **known, "description": ""}

        return 200, {"tasks": [summary(*each) for each in sorted(self.tasks.items())], "next": None}, {}

    def _get_task(self, asked: Asked) -> Any:
        (name,) = asked.names
        if name not in self.tasks:
            raise NotFound(f"there is no task {name!r}: GET /tasks lists them")
        return 200, {**self.tasks[name], "taught": self.taught.get(name)}, {"etag": '"0f1e"'}

    def _put_task(self, asked: Asked) -> Any:
        (name,) = asked.names
        is_new = name not in self.tasks
        self.tasks[name] = json.loads(json.dumps(asked.body.document()))
        return 201 if is_new else 200, self.tasks[name], {"etag": '"1a2b"'}

    def _teach_task(self, asked: Asked) -> Any:
        taught = self.taught[asked.names[0]]
        if head := asked.body.head:
            self.taught[asked.names[0]] = {**taught, "head": head}
        return 202, self.taught[asked.names[0]], {}

    def _unteach_task(self, asked: Asked) -> Any:
        paused = {**self.taught[asked.names[0]], "state": "paused", "head": None}
        self.taught[asked.names[0]] = paused
        return 200, paused, {}

    def _post_annotations(self, asked: Asked) -> Any:
        stored = []
        for entry in asked.body:
            number = len(self.of(asked.route)) * 100 + len(stored)
            self.counts[entry.body.label or ""] = self.counts.get(entry.body.label or "", 0) + 1
            stored.append({"id": f"{number:036x}", "dataset": entry.dataset, "image": f"{number:064x}", "new": True})
        return 201, stored if len(stored) > 1 else stored[0], {}

    def _list_annotations(self, asked: Asked) -> Any:
        records = sum(self.counts.values())
        labels = {"thing": {label: count for label, count in self.counts.items() if label}}
        counts = {"records": records, "counted": records, "splits": {"": records}, "labels": labels}
        after = asked.query.get("after", [""])[0]
        behind = [each for each in self.annotations if each["id"] > after]
        shown, more = behind[: self.page], len(behind) > self.page
        said = {"annotations": shown, "next": shown[-1]["id"] if more else None, "counts": None if after else counts}
        return 200, said, {}

    def _get_annotation(self, asked: Asked) -> Any:
        return 200, answers.ANNOTATION, {"etag": '"0f1e"'}

    def _put_annotation(self, asked: Asked) -> Any:
        return 200, {**answers.ANNOTATION, **json.loads(asked.body)}, {}

    def _delete_annotation(self, _: Asked) -> Any:
        return 204, None, {}

    def _get_annotated_image(self, asked: Asked) -> Any:
        file = io.BytesIO()
        Image.new("RGB", (8, 8), f"#{asked.names[0][-6:]}").save(file, "JPEG")
        size, thumbnail = thumbnail_size(asked.query["size"][0]), base64.b64encode(file.getvalue()).decode()
        return 200, {"image": asked.names[0], "size": size, "thumbnail": thumbnail}, {}

    def _start_training(self, asked: Asked) -> Any:
        if asked.query:
            return 200, self.check, {}
        self.trainings = [answers.RUNNING]
        return 202, answers.RUNNING, {}

    def _list_trainings(self, _: Asked) -> Any:
        return 200, {"trainings": self.trainings, "next": None}, {}

    def _get_training(self, asked: Asked) -> Any:
        return 200, next(each for each in self.trainings if each["id"] == asked.names[0]), {}

    def _stop_training(self, asked: Asked) -> Any:
        self.trainings = [{**each, "state": "stopped", "reason": "it was stopped"} for each in self.trainings]
        return 200, self.trainings[0], {}

    def _list_models(self, _: Asked) -> Any:
        live = next(each["artifact_s3_uri"] for each in self.models if each["live"])
        return 200, {"models": self.models, "live_s3_uri": live, "rolling_out": self.rolling}, {}

    def _get_model(self, asked: Asked) -> Any:
        return 200, next(each for each in self.models if each["version"] == asked.names[0]), {}

    def _promote_model(self, asked: Asked) -> Any:
        promotion = answers.promotion(asked.names[0])
        self.models = [{**each, "live": each["version"] == asked.names[0]} for each in self.models]
        return 202, promotion, {}


_document = cache(openapi.document)


@cache
def _validator(route: Route, status: int) -> Draft202012Validator:
    document = _document()
    answer = document["paths"][route.path][route.method.lower()]["responses"][str(status)]
    return Draft202012Validator(
        {**answer["content"]["application/json"]["schema"], "components": document["components"]}
    )


def check(route: Route, status: int, said: Any) -> None:
    """Raises AssertionError for an answer that the API's own description does not allow."""
    faults = [f"{error.json_path}: {error.message[:200]}" for error in _validator(route, status).iter_errors(said)]
    assert not faults, (route.path, faults)


def found(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The route of a path, and what the path names."""
    for route in ROUTES:
        parts = map(re.escape, IN_A_PATH.split(route.path))
        if route.method == method and (match := re.fullmatch("([^/]+)".join(parts), path)):
            return route, tuple(map(unquote, match.groups()))
    return None


@contextmanager
def served(api: PageApi) -> Iterator[str]:
    """The address of the page, with its own headers, and of the API behind it."""

    class Handler(Quiet):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                route = found(self.command, url.path.removeprefix(f"/{STAGE_NAME}"))
                if route is None:
                    raise NotFound(f"no route {self.command} {url.path}")
                if route[0] is PAGE:
                    return self._send(200, "text/html; charset=utf-8", page.html().encode(), page.security_headers())
                if api.key and not route[0].open and self.headers.get(API_KEY_HEADER) != api.key:
                    raise Forbidden("the API key is missing or wrong: send it as x-api-key, or as authorization")
                status, said, headers = api.answer(
                    *route, parse_qs(url.query), body, self.headers.get("content-type") or ""
                )
            except ProblemError as problem:
                content = json.dumps(problem.body("a-request")).encode()
                return self._send(problem.status, PROBLEM_MEDIA_TYPE, content, {})
            self._send(status, "application/json", b"" if said is None else json.dumps(said).encode(), headers)

        do_GET = do_POST = do_PUT = do_DELETE = _handle

        def _send(self, status: int, type: str, content: bytes, headers: JsonObject) -> None:
            self.send_response(status)
            for name, value in {"content-type": type, **headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/{STAGE_NAME}/"


def overtaken(name: str) -> PreconditionFailed:
    """Somebody else has saved the task."""
    return PreconditionFailed(f"the task {name!r} is there already")
