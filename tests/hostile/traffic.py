"""What clients of a soak do: good requests whose answers are known, hostile ones; and what they were acknowledged."""

import base64
import http.client
import io
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from PIL import Image

from contract.forms import write_form
from contract.idempotency import IDEMPOTENCY_HEADER
from contract.limits import API_KEY_HEADER
from local import sample
from tests.hostile import datasets
from tests.hostile.images import CASES
from tests.hostile.judge import Answer, fault_of, operation
from tests.hostile.requests import REQUESTS, Sent

DRAWINGS = Path(__file__).parents[1] / "e2e/drawings"
KNOWN: Mapping[str, bytes] = {
    "fish": sample.IMAGE.read_bytes(),
    **{label: (DRAWINGS / f"{label}.png").read_bytes() for label in ("house", "tree", "cup", "sun")},
}
"""Drawings under the label that fits each best."""
LABELS = ("house", "tree", "fish", "car", "cup", "sun", "face")
TASK, DATASET = "soak-thing", "soak"
JSON = "application/json"
SAME = 0.02
"""How far a score may be from the known one: images of others are in the same batch."""

TIMEOUT_S = 60
LATER = (429, 503, 504)
PATIENCE_S = 90
"""For so long a caller asks again: a container that is killed on a busy machine is away for a minute."""
MAX_HEAD_BYTES = 8_000
"""What lies beyond, gateways answer themselves: API Gateway takes 10,240 bytes."""


@dataclass
class Seen:
    """Everything that was asked and what became of it."""

    begun_s: float = field(default_factory=time.monotonic)
    samples: list[tuple[float, str, int, float]] = field(default_factory=list)
    """When, in seconds since the beginning; which operation; the status; after how many seconds."""
    wrong: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    annotations: set[str] = field(default_factory=set)
    tasks: dict[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    batches: set[str] = field(default_factory=set)

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.begun_s

    def note(self, place: list[str], what: str) -> None:
        """With the time."""
        place.append(f"{self.now_s:.0f} s: {what}")


class Client:
    """One caller of an API."""

    def __init__(self, url: str, api_key: str, seen: Seen) -> None:
        self._url, self._key, self.seen = urlsplit(url), api_key, seen

    def send(
        self, method: str, path: str, body: bytes = b"", query: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request. What the API's description does not allow is noted."""
        target = f"{self._url.path}{path}{'?' * bool(query)}{query}"
        begun_s = time.monotonic()
        connection = http.client.HTTPConnection(str(self._url.hostname), self._url.port, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in {API_KEY_HEADER: self._key, "content-length": str(len(body)), **(headers or {})}.items():
                connection.putheader(name, value.encode("latin-1", "replace"))
            connection.endheaders(body)
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            answer = Answer(0, {}, repr(error).encode())
        finally:
            connection.close()
        took_s = time.monotonic() - begun_s
        named = operation(method, path) or "no operation"
        self.seen.samples.append((self.seen.now_s, named, answer.status, took_s))
        if fault := fault_of(method, path, answer):
            self.seen.note(self.seen.undocumented, f"{method} {path[:80]}: {fault}")
        return answer

    def deliver(self, sent: Sent) -> Answer:
        """One of the corpus."""
        return self.send(sent.method, sent.path, sent.body, sent.query, sent.all_headers)

    def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """JSON, asked again as long as the answer says later."""
        body = b"" if data is None else json.dumps(data).encode()
        kind = {} if data is None else {"content-type": JSON}
        return self.until_answered(
            lambda: self.send(method, path, body, headers={**kind, **headers}), f"{method} {path}"
        )

    def until_answered(self, send: Callable[[], Answer], what: str) -> Answer:
        """What a well-behaved client does."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            answer = send()
            if answer.status not in (*LATER, 0) and not (answer.status == 409 and b"at work" in answer.body):
                return answer
            time.sleep(min(5.0, float(answer.headers.get("retry-after", 1))))
        self.seen.note(self.seen.given_up, f"{what}: {answer.status} {answer.body[:200]!r}")
        return answer


class Caller:
    """One client of a soak with a mind of its own. `scores` are the known ones by version and label."""

    def __init__(self, client: Client, scores: Mapping[str, Mapping[str, float]], seed: int) -> None:
        self._client, self._scores = client, scores
        self._rng = random.Random(seed)
        self._number = 0
        self._seed = seed

    def run(self, over: threading.Event, pause_s: float = 0.05) -> None:
        """Ask until it is over."""
        acts = (
            *[self.classify] * 10, *[self.hostile_image] * 4, *[self.hostile_request] * 4, *[self.annotate] * 3,
            self.keep_a_task, self.upload, self.look_round, self.embed, self.many,
        )  # fmt: skip
        while not over.wait(pause_s):
            self._rng.choice(acts)()

    def classify(self) -> None:
        """A known drawing in one of the encodings."""
        label = self._rng.choice(list(KNOWN))
        image = KNOWN[label]
        encodings: tuple[Callable[[bytes], Answer], ...] = (self._json, self._raw, self._form, self._task, self._tasks)
        encoding = self._rng.choice(encodings)
        answer = self._client.until_answered(lambda: encoding(image), "classify")
        self._check(label, answer, encoding.__name__)

    def _check(self, label: str, answer: Answer, how: str) -> None:
        if answer.status in (*LATER, 0):
            return
        version = answer.headers.get("x-model-version", "")
        found = answer.json if answer.status == 200 else None
        best = (found["thing"] if isinstance(found, dict) else found)[0] if found else None
        right = best and best["label"] == label and version in self._scores
        if not right or abs(best["score"] - self._scores[version][label]) > SAME:
            said = f"{answer.status} {answer.body[:200]!r}"
            self._client.seen.note(self._client.seen.wrong, f"{label} by {how} of {version}: {said}")

    def _json(self, image: bytes) -> Answer:
        return self._post({"inputs": _base64(image), "parameters": {"candidate_labels": list(LABELS)}})

    def _task(self, image: bytes) -> Answer:
        return self._post({"inputs": _base64(image), "parameters": {"task": TASK}})

    def _tasks(self, image: bytes) -> Answer:
        tasks = {"thing": {"candidate_labels": ",".join(LABELS)}, "other": {"candidate_labels": "red, blue"}}
        return self._post({"inputs": _base64(image), "parameters": {"tasks": tasks}})

    def _raw(self, image: bytes) -> Answer:
        query = f"candidate_labels={quote(','.join(LABELS))}"
        return self._client.send("POST", "/classify", image, query, {"content-type": "image/png"})

    def _form(self, image: bytes) -> Answer:
        kind, body = write_form({"candidate_labels": ",".join(LABELS)}, [("image", image)])
        return self._client.send("POST", "/classify", body, headers={"content-type": kind})

    def _post(self, data: Any) -> Answer:
        return self._client.send("POST", "/classify", json.dumps(data).encode(), headers={"content-type": JSON})

    def many(self) -> None:
        """Good and hostile images in one request: each has its answer in its place."""
        labels = self._rng.choices(list(KNOWN), k=3)
        bad = self._rng.choice([case for case in CASES.values() if not case.heavy]).make()
        images = [KNOWN[labels[0]], bad, KNOWN[labels[1]], b"no image", KNOWN[labels[2]]]
        if sum(map(len, images)) > 2_000_000:
            return
        data = {"inputs": [_base64(each) for each in images], "parameters": {"candidate_labels": list(LABELS)}}
        answer = self._client.ask("POST", "/classify", data)
        if answer.status == 200:
            found = [answer.json[place][0]["label"] for place in (0, 2, 4)]
            if found != labels or answer.json[3].get("status") != 422:
                self._client.seen.note(self._client.seen.wrong, f"{labels} in a list: {answer.body[:200]!r}")
        elif answer.status not in (*LATER, 0):
            self._client.seen.note(self._client.seen.wrong, f"a list: {answer.status} {answer.body[:200]!r}")

    def embed(self) -> None:
        """Unit vectors."""
        data = {"inputs": {"images": [_base64(KNOWN["fish"])], "texts": ["a fish"]}}
        answer = self._client.ask("POST", "/embed", data)
        if answer.status == 200:
            lengths = [sum(x * x for x in vector) for vector in (*answer.json["images"], *answer.json["texts"])]
            if any(abs(length - 1) > 0.01 for length in lengths):
                self._client.seen.note(self._client.seen.wrong, f"vectors of lengths {lengths}")

    def hostile_image(self) -> None:
        """One of the corpus, now and then a heavy one."""
        name = self._rng.choice(list(CASES))
        image = CASES[name].make()
        query = f"candidate_labels={quote(','.join(LABELS))}"
        headers = {"content-type": "application/octet-stream"}
        answer = self._client.send("POST", "/classify", image, query, headers)
        if answer.status not in CASES[name].statuses | {413, *LATER}:
            self._client.seen.note(self._client.seen.wrong, f"image {name}: {answer.status} {answer.body[:200]!r}")

    def hostile_request(self) -> None:
        """One of the corpus that a gateway lets through."""
        name = self._rng.choice(list(REQUESTS))
        sent = REQUESTS[name]
        if not travels(sent):
            return
        answer = self._client.deliver(sent)
        if answer.status not in sent.statuses | {413, *LATER}:
            self._client.seen.note(self._client.seen.wrong, f"request {name}: {answer.status} {answer.body[:200]!r}")

    def annotate(self) -> None:
        """Something new, now and then sent twice with the same key, or something else with it."""
        self._number += 1
        number = self._seed * 100_000 + self._number
        data = {"image": _base64(datasets.image(number)), "label": f"label {number % 7}", "dataset": DATASET}
        key = {IDEMPOTENCY_HEADER: str(uuid.uuid4())}
        answer = self._client.ask("POST", "/annotations", data, **key)
        seen = self._client.seen
        if answer.status in (200, 201):
            seen.annotations.add(answer.json["id"])
        elif answer.status not in (*LATER, 0):
            seen.note(seen.wrong, f"an annotation: {answer.status} {answer.body[:200]!r}")
        if answer.status == 201 and self._rng.random() < 0.2:
            again = self._client.ask("POST", "/annotations", data, **key)
            if again.status == 201 and again.body != answer.body:
                seen.note(seen.wrong, f"an annotation again: {again.body[:200]!r}")
            other = self._client.ask("POST", "/annotations", {**data, "label": "another"}, **key)
            if other.status not in (409, *LATER, 0):
                seen.note(seen.wrong, f"another annotation with the same key: {other.status} {other.body[:200]!r}")

    def keep_a_task(self) -> None:
        """A new one, or the next state of an old one."""
        name, words = f"soak-{self._seed}-{self._rng.randrange(20)}", f"words {self._rng.random()}"
        answer = self._client.ask("PUT", f"/tasks/{name}", {"candidate_labels": ["a", "b"], "description": words})
        if answer.status in (200, 201):
            self._client.seen.tasks[name] = words

    def upload(self) -> None:
        """An image through the bucket."""
        answer = self._client.ask("POST", "/uploads", {"count": 1}, **{IDEMPOTENCY_HEADER: str(uuid.uuid4())})
        if answer.status != 201:
            return
        (upload,) = answer.json["uploads"]
        label = self._rng.choice(list(KNOWN))
        sent = requests.post(upload["url"], data=upload["fields"], files={"file": KNOWN[label]}, timeout=TIMEOUT_S)
        if sent.ok:
            data = {"inputs": {"s3_key": upload["s3_key"]}, "parameters": {"candidate_labels": list(LABELS)}}
            self._check(label, self._client.ask("POST", "/classify", data), "s3_key")

    def look_round(self) -> None:
        """Everything that is only read."""
        paths = ("/tasks", "/annotations", "/trainings", "/models", "/batches", "/health", "/openapi.json", "/")
        paths = (*paths, "/models/base", f"/tasks/{TASK}")
        answer = self._client.ask("GET", self._rng.choice(paths))
        if answer.status not in (200, *LATER, 0):
            self._client.seen.note(self._client.seen.wrong, f"GET: {answer.status} {answer.body[:200]!r}")


def collection(images: int = 30) -> Mapping[str, tuple[bytes, str | None]]:
    """Files of a batch by their names, each with the label that fits, None for what is no image."""
    labels = list(KNOWN)
    found: dict[str, tuple[bytes, str | None]] = {}
    for number in range(images):
        label = labels[number % len(labels)]
        cut = number % 5 == 4
        image = KNOWN[label]
        found[f"{number:03}.png"] = (image[: len(image) // 2], None) if cut else (_turned(image, number), label)
    return found


def _turned(image: bytes, number: int) -> bytes:
    """As a file of its own: an import knows images by their bytes."""
    Image.open(io.BytesIO(image)).convert("RGB").save(file := io.BytesIO(), "PNG", compress_level=number % 9)
    return file.getvalue()


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def travels(sent: Sent) -> bool:
    """Whether a client of HTTP sends it at all, and a gateway lets it through."""
    headers = "".join(f"{name}{value}" for name, value in sent.all_headers.items())
    target = f"{sent.path}{sent.query}"
    is_text = (target + headers).isascii() and " " not in target and not set("\0\r\n") & set(target + headers)
    return is_text and len(target) + len(headers) <= MAX_HEAD_BYTES
