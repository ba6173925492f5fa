"""Tasks that learn in seconds, through the API alone: annotated, answered by what was learnt, undone, promoted, erased;
by an endpoint's answers, and by a function's.

The tests of a tier share one system, in their order.
"""

import base64
import hashlib
import json
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from contract.limits import MAX_IMAGES
from tests.e2e.loop import Api, Labelled, pictograms
from tests.e2e.system import TIERS, System
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

TASK, OTHER = "pictogram", "colour"
LABELS, SHOTS, HELD_OUT = 10, 16, 200
WITHIN_S = 120
POLL_S = 0.1
RISE = 0.4
"""In accuracy on images that nobody has annotated: the learning report's bars are stricter, of five draws."""
WRONG_SHARE, FOUND_SHARE = 0.1, 0.6
WRITERS = 20
ATTEMPTS = 5
TIMED_OUT = 504
"""Where one small machine is to start a process for each of twenty requests."""


@pytest.fixture(scope="module", params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def api(system: System) -> Api:
    return Api(system)


@pytest.fixture(scope="module")
def held_out() -> Labelled:
    return pictograms(seed=2, count=HELD_OUT)


@pytest.fixture(scope="module")
def shown() -> Labelled:
    return pictograms(seed=1, count=LABELS * SHOTS)


@pytest.fixture(scope="module")
def saved(api: Api, shown: Labelled) -> Any:
    """The task that is taught, and another one."""
    save(api, TASK, sorted({label for _, label in shown}))
    save(api, OTHER, ["red", "green", "blue"])
    return {"task": TASK}


def save(api: Api, task: str, labels: list[str]) -> None:
    asked = {"candidate_labels": labels, "hypothesis_template": "a drawing of a {}"}
    assert api.ask("PUT", f"tasks/{task}", asked)[0] in (200, 201)


def annotate(api: Api, image: bytes, label: str, **more: Any) -> str:
    """The id of what is stored. What was not answered in time is sent again: said twice, it is one record."""
    said = {"image": base64.b64encode(image).decode(), "label": label, **more}
    for _ in range(ATTEMPTS):
        status, answer = api.ask("POST", "annotations", said)
        if status != TIMED_OUT:
            break
    assert status in (200, 201), answer
    return str(answer["id"])


def taught(api: Api, task: str = TASK) -> Any:
    return api.get(f"tasks/{task}")["taught"]


def wait(api: Api, is_so: Any, task: str = TASK, within_s: float = WITHIN_S) -> Any:
    """What the task has learnt, once that is so and nobody is at it."""
    deadline_s = time.monotonic() + within_s
    while not ((found := taught(api, task)) and is_so(found) and not found["teaching"]):
        assert time.monotonic() < deadline_s, f"not so after {within_s:g} s: {found}"
        time.sleep(POLL_S)
    return found


def images_of(found: Any) -> int:
    return sum(found["learnt"]["images"].values()) if found and found["learnt"] else 0


def answers(system: System, images: Labelled, parameters: Any) -> tuple[Any, str | None]:
    """The scores of some images to the last bit, and by what they were answered."""
    inputs = [base64.b64encode(image).decode() for image, _ in images[:20]]
    body = json.dumps({"inputs": inputs, "parameters": parameters}).encode()
    scores, headers = system.post("classify", body, "application/json")
    return scores, headers["x-task-version"]


def test_ten_labels_of_sixteen_images_each_are_soon_answered_by_what_they_teach(
    api: Api, system: System, saved: Any, shown: Labelled, held_out: Labelled
) -> None:
    before = api.accuracy(held_out, saved)
    others = [{"task": OTHER}, {"candidate_labels": ["a cat", "a dog"]}]
    unchanged = [answers(system, held_out, other)[0] for other in others]
    for image, label in shown:
        annotate(api, image, label, task=TASK)
    stored_s = time.monotonic()
    while True:
        found = taught(api)
        if images_of(found) == LABELS * SHOTS and found["head"]:
            _, version = answers(system, held_out, saved)
            if version == f"{TASK}={found['head'][:12]}":
                break
        assert time.monotonic() - stored_s < WITHIN_S
        time.sleep(POLL_S)
    print(f"answered by it {time.monotonic() - stored_s:.1f} s after the last annotation was stored")
    assert found["learnt"]["images"] == dict.fromkeys(found["learnt"]["images"], SHOTS)
    assert found["learnt"]["gain"] > 0 and found["learnt"]["after"]["accuracy"] > found["learnt"]["before"]["accuracy"]
    after = api.accuracy(held_out, saved)
    assert after >= before + RISE, (before, after)
    assert api.accuracy(held_out, {**saved, "taught": False}) == before
    assert [answers(system, held_out, other)[0] for other in others] == unchanged, "to the last bit"


def test_what_was_undone_comes_back_to_the_last_bit(api: Api, system: System, saved: Any, held_out: Labelled) -> None:
    first, _ = answers(system, held_out, saved)
    head = taught(api)["head"]
    by_words, _ = answers(system, held_out, {**saved, "taught": False})
    assert api.ask("DELETE", f"tasks/{TASK}/teach")[0] == 200
    scores, version = answers(system, held_out, saved)
    assert scores == by_words != first and version.startswith(f"{TASK}=words-")  # type: ignore[union-attr]
    assert api.ask("POST", f"tasks/{TASK}/teach", {"head": head})[0] == 202
    wait(api, lambda found: found["state"] == "live")
    assert answers(system, held_out, saved) == (first, f"{TASK}={head[:12]}")


@pytest.mark.usefixtures("saved")
def test_twenty_writers_at_once_lose_nothing(api: Api) -> None:
    more = pictograms(seed=3, count=WRITERS)
    before = images_of(taught(api))
    for warm in range(WRITERS // 4, WRITERS + 1, WRITERS // 4):
        with ThreadPoolExecutor(warm) as readers:  # the emulator starts a process for each, and gives up after seconds
            list(readers.map(api.get, ["tasks"] * warm))
    with ThreadPoolExecutor(WRITERS) as writers:
        ids = list(writers.map(lambda each: annotate(api, each[0], each[1], task=TASK), more))
    wait(api, lambda found: images_of(found) == before + WRITERS)
    assert len(set(ids)) == WRITERS


def test_wrong_labels_are_among_the_most_doubtful(api: Api, system: System, shown: Labelled) -> None:
    labels = sorted({label for _, label in shown})
    save(api, "mislabelled", labels)
    drawn = random.Random(5)
    wrong = set(drawn.sample(range(len(shown)), round(WRONG_SHARE * len(shown))))
    entries = []
    for number, (image, label) in enumerate(shown):
        said = drawn.choice([each for each in labels if each != label]) if number in wrong else label
        of = {"label": said, "task": "mislabelled", "dataset": "mislabelled"}
        entries.append({"image": base64.b64encode(image).decode(), **of})
    ids = {}
    for start in range(0, len(entries), MAX_IMAGES):
        status, stored = api.ask("POST", "annotations", {"annotations": entries[start : start + MAX_IMAGES]})
        assert status in (200, 201), stored
        ids |= {each["id"]: start + place in wrong for place, each in enumerate(stored)}
    found = wait(api, lambda found: images_of(found) == len(shown), "mislabelled")
    worst = [ids[each["id"]] for each in found["learnt"]["doubtful"][: len(wrong)]]
    assert len(worst) >= len(wrong) / 2 and sum(worst) >= FOUND_SHARE * len(worst), worst
    doubtful = found["learnt"]["doubtful"][0]
    image = api.get(f"images/{doubtful['image']}")
    with urlopen(image["url"], timeout=60) as response:
        assert hashlib.sha256(response.read()).hexdigest() == image["image"] == doubtful["image"]


def test_an_import_teaches_and_a_batch_is_answered_by_what_was_learnt(
    api: Api, system: System, shown: Labelled, held_out: Labelled
) -> None:
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    save(api, "imported", sorted({label for _, label in shown}))
    for number, (image, label) in enumerate(shown[: LABELS * 4]):
        s3.put_object(Bucket=bucket, Key=f"uploads/drawn/{label}/{number}.png", Body=image)
    id = api.begin("annotations/imports", {"s3_prefix": "uploads/drawn/", "dataset": "drawn", "task": "imported"})["id"]
    api.wait(f"annotations/imports/{id}", lambda found: found["state"] == "done", WITHIN_S)
    wait(api, lambda found: images_of(found) == LABELS * 4 and found["head"], "imported")
    for number, (image, _) in enumerate(held_out[:20]):
        s3.put_object(Bucket=bucket, Key=f"collections/held-out/{number:03}.png", Body=image)
    batch = api.begin("batches", {"s3_prefix": "collections/held-out/", "task": "imported"})["id"]
    done = api.wait(f"batches/{batch}", lambda found: found["state"] in ("done", "failed"), WITHIN_S)
    assert done["results"] == 20, done
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=done["results_s3_prefix"])["Contents"]
    lines = "".join(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().decode() for each in listed)
    by_key = {each["s3_key"]: each["answer"] for each in map(json.loads, lines.splitlines())}
    scores, version = answers(system, held_out, {"task": "imported"})
    assert "words" not in version  # type: ignore[operator]
    for answer, score in zip([by_key[key] for key in sorted(by_key)], scores, strict=True):
        assert [each["label"] for each in answer] == [each["label"] for each in score]
        assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in score], abs=1e-4)


def test_an_erased_image_leaves_no_trace_and_the_task_learns_anew(api: Api, system: System) -> None:
    image, label = pictograms(seed=4, count=1)[0]
    annotate(api, image, label, task="imported", dataset="drawn")
    wait(api, lambda found: images_of(found) == LABELS * 4 + 1, "imported")
    digest = api.get(f"annotations/{annotate(api, image, label, task='imported', dataset='drawn')}?dataset=drawn")[
        "image"
    ]
    small = api.get(f"images/{digest}?size=64")
    assert small == api.get(f"images/{digest}?size=64")
    assert base64.b64decode(small["thumbnail"]).startswith(b"\xff\xd8\xff")
    status, erased = api.ask("DELETE", f"annotations?image={digest}")
    assert (status, erased["annotations"]) == (200, 1)
    for prefix in ("embeddings/", "thumbnails/"):
        versions = system.client("s3").list_object_versions(Bucket=system.output("DataBucketName"), Prefix=prefix)
        assert not [each for each in versions.get("Versions", []) if digest in each["Key"]]
    wait(api, lambda found: images_of(found) == LABELS * 4 and found["head"], "imported")


def test_after_a_promotion_words_answer_until_the_task_has_learnt_with_the_new_model(
    api: Api, system: System, saved: Any, held_out: Labelled, tmp_path: Path
) -> None:
    head = wait(api, lambda found: found["head"])["head"]
    folder = shutil.copytree(ROOT / "model/shipped", tmp_path / "other")
    said = json.loads((folder / "wordsight.json").read_text())
    (folder / "wordsight.json").write_text(json.dumps({**said, "version": "other@1"}))
    s3, bucket = system.client("s3"), system.output("ArtifactsBucketName")
    for file in folder.iterdir():
        s3.upload_file(str(file), bucket, f"models/other/{file.name}")
    status, answer = api.ask("POST", "models", {"s3_uri": f"s3://{bucket}/models/other/", "version": "other"})
    assert status == 201, answer
    assert api.promote("other", 300, force=True)["state"] == "live"
    seen = set()
    deadline_s = time.monotonic() + WITHIN_S
    while (found := taught(api))["head"] == head or found["teaching"]:
        _, version = answers(system, held_out, saved)
        seen.add(str(version))
        assert time.monotonic() < deadline_s, found
    assert f"{TASK}={head[:12]}" not in seen, "no head answers with another model than it was made with"
    assert found["learnt"]["model_version"] == "other@1" and found["head"]
    _, version = answers(system, held_out, saved)
    assert version == f"{TASK}={found['head'][:12]}"
    assert api.accuracy(held_out, saved) >= RISE


def test_a_task_that_is_forgotten_leaves_nothing_of_what_it_has_learnt(api: Api, system: System) -> None:
    request = Request(f"{system.url}/tasks/imported", headers={"x-api-key": system.api_key}, method="DELETE")
    with urlopen(request, timeout=60) as response:
        assert response.status == 204
    bucket = system.output("DataBucketName")
    for prefix in ("taught/imported", "heads/imported/"):
        assert "Versions" not in system.client("s3").list_object_versions(Bucket=bucket, Prefix=prefix)
