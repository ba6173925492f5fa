"""The loop through the API: annotated, trained, judged, live, and back. The tests share one system, in their order.

What is imported lies in the bucket first, where a user's own tools put it; everything else is one HTTP request after
the other.
"""

import base64
import json
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from contract.limits import MAX_IMAGES
from contract.reference import MIN_REFERENCE_IMAGES
from local import processes
from tests.e2e.loop import Api, Labelled, pictograms, trickle
from tests.e2e.system import System
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

PNG = ROOT / "local" / "sample.png"

GAIN = 0.25
MEAN_FORGOTTEN = 0.02
MOST_FORGOTTEN = 0.05
"""In accuracy: what the new domain wins at least, and what the old tasks lose at most, in the mean and each."""

POSTED = 400
CORRUPT_EVERY = 50
"""Two of a hundred images are cut off."""

IMPORTED = 300
MORE = 60
SHUFFLED = 150
HELD_OUT = 200
REFERENCE = "collections/walls/"
REFERENCE_IMAGES = 40
CLASSES = 10
"""Of the pictograms, which take turns."""
TASK = "pictogram"
SENTENCE = "somebody drew {} with a pen"
RECIPE = {
    **{"threads": 1, "precision": "fp32", "checkpoint_every_s": 10, "max_task_forgetting": MOST_FORGOTTEN},
    **{"steps": 100, "selection_scenes": 1000},
}
"""The defaults for a sixth of their steps, on one thread, saved often enough to be killed, and stricter about what one
old task may lose. In one precision: which is the faster one is found out by steps of their own.
"""

ENDLESS = {"threads": 1, "precision": "fp32", "steps": 100_000, "batch_size": 8, "log_every_steps": 1}
"""Does not end by itself while a test runs, and soon says that it has learnt something."""

BRIEF = {"threads": 1, "precision": "fp32", "steps": 2, "selection_scenes": 100, "evaluation_scenes": 100}
"""Learns nothing to speak of."""

SHORT = {"threads": 1, "precision": "fp32", "steps": 20, "selection_scenes": 100, "evaluation_scenes": 100}
"""Enough to be led astray."""

HALF_LEARNT = ("relation",)
"""Which of two objects comes first the small checkpoint answers by chance: benchmarks/relations.md."""

IMPORT_TIMEOUT_S = 300
TRAINING_TIMEOUT_S = 2400
PROMOTION_TIMEOUT_S = 300
STOPPED_WITHIN_S = 30
BASE = "base"


@pytest.fixture(scope="module")
def api(system: System) -> Api:
    return Api(system)


@pytest.fixture(scope="module")
def question(api: Api) -> Any:
    """The saved task: how /classify is asked about the new domain."""
    labels = sorted({label for _, label in pictograms(seed=1, count=HELD_OUT)})
    asked = {"candidate_labels": labels, "hypothesis_template": SENTENCE}
    status, answer = api.ask("PUT", f"tasks/{TASK}", asked)
    assert status in (200, 201), answer
    return {"task": TASK}


def import_images(api: Api, dataset: str, labelled: Labelled) -> Any:
    """Annotate images by a label and a sentence each, every fifth one of a class for validation."""
    s3, bucket = api.system.client("s3"), api.system.output("DataBucketName")
    lines = []
    for number, (image, label) in enumerate(labelled):
        s3.put_object(Bucket=bucket, Key=f"uploads/{dataset}/{number}.png", Body=image, ContentType="image/png")
        split = "train" if number // CLASSES % 5 else "validation"
        said = {"label": label, "text": SENTENCE.format(label), "split": split}
        lines.append(json.dumps({"file_name": f"{number}.png", **said}))
    s3.put_object(Bucket=bucket, Key=f"uploads/{dataset}/metadata.jsonl", Body="\n".join(lines).encode())
    body = {"s3_prefix": f"uploads/{dataset}/", "dataset": dataset, "task": TASK}
    id = api.begin("annotations/imports", body)["id"]
    return api.wait(f"annotations/imports/{id}", lambda found: found["state"] != "running", IMPORT_TIMEOUT_S)


def collect(system: System, prefix: str, images: Labelled) -> None:
    """Put images there of which nothing is said."""
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    for number, (image, _) in enumerate(images):
        s3.put_object(Bucket=bucket, Key=f"{prefix}{number}.png", Body=image, ContentType="image/png")


def train(api: Api, dataset: str, **wishes: Any) -> str:
    """The id of a training that has begun."""
    return str(api.begin("trainings", {"dataset": dataset, "hyperparameters": RECIPE, **wishes})["id"])


def result(api: Api, training: str) -> Any:
    """What became of it."""
    over = ("done", "refused", "failed", "stopped")
    return api.wait(f"trainings/{training}", lambda found: found["state"] in over, TRAINING_TIMEOUT_S)


def wait_for_step(api: Api, training: str) -> None:
    """Return once it has learnt something."""

    def learns(found: Any) -> bool:
        return found["phase"] == "training" and (found["step"] or 0) > 0 and found["left_s"] is not None

    api.wait(f"trainings/{training}", learns, TRAINING_TIMEOUT_S)


def checkpoints(system: System, training: str) -> list[str]:
    """The states of a training that are in the bucket."""
    bucket, prefix = system.output("ArtifactsBucketName"), f"checkpoints/{training}/"
    found = system.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", []) if item["Key"].endswith(".pt")]


def wait_for_checkpoint(system: System, training: str) -> None:
    """Return once something is saved that a restarted program can go on from."""
    deadline_s = time.monotonic() + TRAINING_TIMEOUT_S
    while not checkpoints(system, training):
        assert time.monotonic() < deadline_s, "no checkpoint was saved"
        time.sleep(0.5)


def program_of(system: System) -> int:
    """The process of the training that runs."""
    (found,) = [pid for pid in processes.running(system.settings.directory) if is_training(pid)]
    return found


def is_training(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"train" in command


def cut_off(number: int) -> bool:
    """Whether the image of this number is sent without its second half."""
    return number % CORRUPT_EVERY == CORRUPT_EVERY // 2


def pages(api: Api, dataset: str) -> Iterator[Any]:
    """The answers of GET /annotations, until there is no next one."""
    page = api.get(f"annotations?dataset={dataset}")
    yield page
    while page["next"]:
        page = api.get(f"annotations?dataset={dataset}&after={page['next']}")
        yield page


def test_hundreds_of_annotations_are_kept_but_for_those_whose_images_are_corrupt(api: Api) -> None:
    entries = []
    for number, (image, label) in enumerate(pictograms(seed=2, count=POSTED)):
        sent = image[: len(image) // 2] if cut_off(number) else image
        entries.append({"image": base64.b64encode(sent).decode(), "label": label, "task": TASK, "dataset": "hundreds"})
    answers = []
    for start in range(0, POSTED, MAX_IMAGES):
        status, answered = api.ask("POST", "annotations", {"annotations": entries[start : start + MAX_IMAGES]})
        assert status == 201, answered
        answers += answered
    assert len(answers) == POSTED
    corrupt = [answer for number, answer in enumerate(answers) if cut_off(number)]
    kept = [answer for number, answer in enumerate(answers) if not cut_off(number)]
    assert {problem["type"] for problem in corrupt} == {"urn:wordsight:problem:unprocessable-image"}
    assert all(answer["new"] for answer in kept) and (len(kept), len(corrupt)) == (392, 8)

    first, *others = pages(api, "hundreds")
    records = [record for page in (first, *others) for record in page["annotations"]]
    assert sorted(record["id"] for record in records) == sorted(answer["id"] for answer in kept)
    counts = first["counts"]
    assert (counts["records"], counts["counted"], sum(counts["labels"][TASK].values())) == (392, 392, 392)


@pytest.fixture(scope="module")
def imported(api: Api) -> Any:
    """What the import of the new domain's images answered when it was done."""
    return import_images(api, "pictograms", pictograms(seed=0, count=IMPORTED))


def test_an_import_keeps_every_annotation(api: Api, imported: Any) -> None:
    assert (imported["state"], imported["stored"], imported["problem_records"]) == ("done", IMPORTED, 0), imported
    counts = api.get("annotations?dataset=pictograms")["counts"]
    assert (counts["records"], counts["splits"]) == (IMPORTED, {"train": 240, "validation": 60})
    assert sum(counts["labels"][TASK].values()) == IMPORTED


@pytest.mark.parametrize(("prefix", "at_least"), [("images/", IMPORTED), ("uploads/pictograms/29", 11)])
def test_what_was_imported_is_classified_where_it_lies(api: Api, imported: Any, prefix: str, at_least: int) -> None:
    asked = {"candidate_labels": ["a circle", "a star"], "top_k": 1}
    id = api.begin("batches", {"s3_prefix": prefix, "parameters": asked})["id"]
    batch = api.wait(f"batches/{id}", lambda found: found["state"] not in ("planning", "running"), IMPORT_TIMEOUT_S)
    assert (batch["state"], batch["problems"], batch["results"] >= at_least) == ("done", 0, True), batch


def test_an_uploaded_image_is_annotated_once_and_then_forgotten(api: Api) -> None:
    image = PNG.read_bytes()
    status, answer = api.ask("POST", "uploads")
    (upload,) = answer["uploads"]
    assert status == 201, answer
    assert requests.post(upload["url"], data=upload["fields"], files={"file": image}, timeout=60).ok
    body = {"image": {"s3_key": upload["s3_key"]}, "label": "fish", "dataset": "uploaded"}
    key = {"idempotency-key": "an-upload"}
    absent = {**body, "image": {"s3_key": "uploads/nothing"}}
    assert api.ask("POST", "annotations", absent, **key)[0] == 404  # and the key is free again
    status, stored = api.ask("POST", "annotations", body, **key)
    assert (status, api.ask("POST", "annotations", body, **key)) == (201, (201, stored))
    status, forgotten = api.ask("DELETE", f"annotations?image={stored['image']}")
    assert status == 200, forgotten
    assert api.get("annotations?dataset=uploaded")["annotations"] == []


def test_what_a_models_own_training_kept_back_is_asked_again_when_it_learns_something_else(
    api: Api, imported: Any, question: Any
) -> None:
    first = result(api, train(api, "pictograms", hyperparameters=BRIEF, base_version=BASE))
    import_images(api, "more", pictograms(seed=4, count=MORE))
    second = result(api, train(api, "more", hyperparameters=BRIEF, base_version=first["version"]))
    assert second["state"] in ("done", "refused"), second
    model = api.get(f"models/{second['version']}")
    asked = second["gate"]["figures"]["labelled_before"][f"{TASK} of pictograms"]
    assert model["parent"] == first["version"] and asked["images"] == IMPORTED // 5
    assert "can't forget what it does not know" in asked["no_limit"]
    assert model["metrics"]["old"][f"{TASK} of pictograms"]["accuracy"] == asked["after"]
    assert f"{TASK} of pictograms" in second["verdict"]


def test_a_training_that_is_deleted_has_stopped_soon_and_keeps_what_it_learnt(
    api: Api, system: System, imported: Any
) -> None:
    training = train(api, "pictograms", hyperparameters=ENDLESS)
    wait_for_step(api, training)
    status, answer = api.ask("DELETE", f"trainings/{training}")
    assert status == 200, answer
    stopped_after_s = time.monotonic() + STOPPED_WITHIN_S
    while any(map(is_training, processes.running(system.settings.directory))):
        assert time.monotonic() < stopped_after_s, f"the program goes on after {STOPPED_WITHIN_S} s"
        time.sleep(0.5)
    assert result(api, training)["state"] == "stopped"
    wait_for_checkpoint(system, training)  # the program has ended, its last state may still be on its way up
    assert api.ask("DELETE", f"trainings/{training}")[0] == 409


def test_a_broken_model_never_goes_live(api: Api, system: System) -> None:
    before, headers = system.classify()
    s3, bucket = system.client("s3"), system.output("ArtifactsBucketName")
    for path in (ROOT / "model/shipped").iterdir():
        s3.put_object(Bucket=bucket, Key=f"models/broken/{path.name}", Body=path.read_bytes())
    body = {"s3_uri": f"s3://{bucket}/models/broken/", "version": "broken"}
    assert api.ask("POST", "models", body, **{"idempotency-key": "broken"})[0] == 201
    s3.put_object(Bucket=bucket, Key="models/broken/tokenizer.json", Body=b"{}")  # looked at, and spoilt afterwards
    status, refused = api.ask("POST", "models", {**body, "version": "still-broken"})[:2]
    assert (status, "tokenizer.json" in refused["detail"]) == (400, True)
    with trickle(system) as seen:
        promotion = api.promote("broken", PROMOTION_TIMEOUT_S)
    assert promotion["state"] == "failed"
    assert "is no checkpoint: tokenizer.json" in promotion["reason"]
    assert (seen.failures, seen.versions) == ([], [headers["x-model-version"]])
    assert system.classify()[0] == before
    assert [model["version"] for model in api.get("models")["models"] if model["live"]] == [BASE]


def test_a_new_domain_is_learnt_although_the_program_is_killed_goes_live_and_goes_back(
    api: Api, system: System, question: Any, imported: Any
) -> None:
    held_out, by_words = pictograms(seed=1, count=HELD_OUT), {**question, "taught": False}
    scores, headers = system.classify()
    new_before, old_before = api.accuracy(held_out, by_words), api.world_accuracy()

    training = train(api, "pictograms", spot=True, promote="auto")
    wait_for_checkpoint(system, training)
    os.kill(program_of(system), signal.SIGKILL)
    learnt = result(api, training)
    assert learnt["state"] == "done", learnt
    assert learnt["step"] == learnt["steps"]
    first_steps = re.findall(r"first_step=(\d+)", (system.settings.logs / f"{learnt['version']}.log").read_text())
    assert len(first_steps) == 2 and int(first_steps[1]) > 0, first_steps

    with trickle(system) as seen:  # which may begin when it is live already
        assert api.promoted(learnt["version"], PROMOTION_TIMEOUT_S)["state"] == "live"
    assert seen.failures == []
    assert system.classify()[1]["x-model-version"] == learnt["version"]
    new_after, old_after = api.accuracy(held_out, by_words), api.world_accuracy()
    drops = {task: old_before[task] - old_after[task] for task in old_before if task not in HALF_LEARNT}
    figures = f"new {new_before:.3f} -> {new_after:.3f}, drops {drops}"
    assert new_after - new_before >= GAIN, figures
    assert sum(drops.values()) / len(drops) <= MEAN_FORGOTTEN, figures
    assert max(drops.values()) <= MOST_FORGOTTEN, figures

    again = result(api, train(api, "pictograms", hyperparameters=BRIEF))
    assert again["state"] in ("done", "refused"), again
    assert api.get(f"models/{again['version']}")["parent"] == learnt["version"]

    with trickle(system) as seen:
        assert api.promote(BASE, PROMOTION_TIMEOUT_S)["state"] == "live"
    assert (seen.failures, seen.versions) == ([], [learnt["version"], headers["x-model-version"]])
    assert system.classify()[0] == scores


def test_what_was_learnt_from_shuffled_labels_is_refused_and_cannot_go_live(api: Api) -> None:
    images, labels = zip(*pictograms(seed=0, count=SHUFFLED), strict=True)
    shuffled = random.Random(0).sample(labels, len(labels))
    import_images(api, "shuffled", list(zip(images, shuffled, strict=True)))
    collect(api.system, REFERENCE, pictograms(seed=3, count=REFERENCE_IMAGES))
    assert api.ask("PUT", "tasks/season", {"candidate_labels": "summer, winter"})[0] == 201
    refused = result(api, train(api, "shuffled", hyperparameters=SHORT, reference_s3_prefix=REFERENCE))
    log = (api.system.settings.logs / f"{refused['version']}.log").read_text()
    assert "the saved tasks, too: season\n" in log, "and not the task that is taught"
    assert (refused["state"], refused["gate"]["passed"]) == ("refused", False)
    assert refused["reason"] and refused["reason"] in refused["verdict"]
    assert [point["step"] for point in refused["history"]] == [0, 10, 20]
    report = api.get(f"models/{refused['version']}/report")
    assert report["verdict"] == refused["verdict"] and report["mistakes"][0]["task"] == TASK
    assert report["reference"]["images"] == refused["gate"]["figures"]["reference_images"] == MIN_REFERENCE_IMAGES
    assert refused["gate"]["figures"]["reference_learnt"] == REFERENCE_IMAGES - MIN_REFERENCE_IMAGES
    page = requests.get(report["html_url"], timeout=60)
    assert (page.status_code, refused["version"] in page.text) == (200, True)
    status, problem = api.ask("POST", f"models/{refused['version']}/promote", None, **{"idempotency-key": "no-force"})
    assert status == 409
    assert "the gate refused" in problem["detail"]
