"""What the test of the loop asks of the API, and the two kinds of images that it shows."""

import base64
import io
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean
from typing import Any
from urllib.error import HTTPError

from PIL import Image

from benchmarks.learning.domains import pictogram
from contract.limits import MAX_IMAGES
from local import sample
from model.data.class_wording import HELD_OUT_WORDINGS
from model.world.examples import render
from model.world.scene import Split
from model.world.tasks import TASKS, Task, ask
from tests.e2e.system import System

JSON_HEADERS = {"content-type": "application/json"}
POLL_S = 1.0
ATTEMPTS = 5
"""A machine that trains at the same time answers late now and then."""

TRICKLE_PAUSE_S = 0.1
WORLD_SEED = 31
WORLD_SCENES = 400
Labelled = list[tuple[bytes, str]]


@dataclass(frozen=True)
class Api:
    """The API of a local system, by HTTP alone."""

    system: System

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of the answer; a 503 is asked again when it says so."""
        content = b"" if body is None else json.dumps(body).encode()
        for _ in range(ATTEMPTS):
            status, answer = self.system.send(method, path, content, JSON_HEADERS | headers)
            if status != 503:
                break
            time.sleep(answer["retry_after_s"])
        return status, answer

    def get(self, path: str) -> Any:
        """What is there."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def begin(self, path: str, body: Any = None) -> Any:
        """POST something that goes on by itself; returns the 202's body."""
        status, answer = self.ask("POST", path, body, **{"idempotency-key": str(uuid.uuid4())})
        assert status == 202, answer
        return answer

    def wait(self, path: str, is_over: Callable[[Any], bool], timeout_s: float) -> Any:
        """Look there until it is over."""
        deadline = time.monotonic() + timeout_s
        while not is_over(found := self.get(path)):
            assert time.monotonic() < deadline, f"not over after {timeout_s:g} s: {found}"
            time.sleep(POLL_S)
        return found

    def promote(self, version: str, timeout_s: float, **body: bool) -> Any:
        """Promote a version; returns what became of the promotion."""
        return self.promoted(version, timeout_s, self.begin(f"models/{version}/promote", body or None)["id"])

    def promoted(self, version: str, timeout_s: float, id: str | None = None) -> Any:
        """What became of the promotion `id` of a version, or of whichever there is."""

        def is_over(model: Any) -> bool:
            promotion = model["promotion"]
            return promotion and promotion["id"] in (id or promotion["id"]) and promotion["state"] in ("live", "failed")

        return self.wait(f"models/{version}", is_over, timeout_s)["promotion"]

    def answers(self, images: Sequence[bytes], parameters: Any) -> list[Any]:
        """The label that fits each image best, in the shape that was asked for."""
        found = []
        for start in range(0, len(images), MAX_IMAGES):
            inputs = [base64.b64encode(image).decode() for image in images[start : start + MAX_IMAGES]]
            status, answers = self.ask("POST", "classify", {"inputs": inputs, "parameters": {**parameters, "top_k": 1}})
            assert status == 200, answers
            found += answers
        return found

    def accuracy(self, labelled: Labelled, parameters: Any) -> float:
        """How many are answered rightly."""
        images, labels = zip(*labelled, strict=True)
        answers = self.answers(images, parameters)
        return fmean(best["label"] == label for (best,), label in zip(answers, labels, strict=True))

    def world_accuracy(self) -> dict[str, float]:
        """How well the shipped checkpoint's tasks are answered, on images that no training and no evaluation uses."""
        found = {}
        for split in {task.split for task in TASKS}:
            tasks = [task for task in TASKS if task.split == split]
            answers = self.answers(world_images(split), {"tasks": {task.name: world_question(task) for task in tasks}})
            for task in tasks:
                best = [label["label"] for (label,) in (answer[task.name] for answer in answers)]
                questions = ask(task, split, WORLD_SEED, WORLD_SCENES)
                found[task.name] = fmean(best[each.index] == task.phrases[each.target] for each in questions)
        return found


def pictograms(seed: int, count: int) -> Labelled:
    """Drawings of a domain that the shipped checkpoint has never seen, each with its label."""
    drawn = (pictogram(seed, index) for index in range(count))
    return [(png(image), label) for image, label in drawn]


@cache
def world_images(split: Split) -> list[bytes]:
    """Images of what the shipped checkpoint has learnt."""
    return [png(Image.fromarray(render(WORLD_SEED, split, index))) for index in range(WORLD_SCENES)]


def world_question(task: Task) -> dict[str, Any]:
    """A task's labels, as its evaluation words them."""
    return {"candidate_labels": list(task.phrases), "hypothesis_template": list(HELD_OUT_WORDINGS)}


def png(image: Image.Image) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


BUSY = "wait for the model"


@dataclass
class Trickle:
    """What a caller saw who asked all the time: the model versions in their order, and every failure."""

    versions: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: int = 0

    def ask(self, system: System, attempts: int = 3) -> None:
        """One request, made again where the model is too busy for a moment, as it may be beside other tests."""
        try:
            _, headers = system.post(f"classify?candidate_labels={','.join(sample.LABELS)}", IMAGE, "image/png")
        except OSError as error:
            said = error.read().decode() if isinstance(error, HTTPError) else ""
            if BUSY in said and attempts > 1:
                time.sleep(1)
                return self.ask(system, attempts - 1)
            self.failures.append(f"{time.strftime('%X')} {error!r} {said}")
            return None
        self.answers += 1
        version = str(headers["x-model-version"])
        if self.versions[-1:] != [version]:
            self.versions.append(version)


IMAGE = sample.IMAGE.read_bytes()


@contextmanager
def trickle(system: System) -> Iterator[Trickle]:
    """Ask all the time, from another thread."""
    seen, done = Trickle(), threading.Event()

    def run() -> None:
        while not done.wait(TRICKLE_PAUSE_S):
            seen.ask(system)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
