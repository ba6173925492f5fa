"""The images of a reference set, as training takes them, and the saved tasks beside them."""

import json
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from contract.reference import MAX_REFERENCE_IMAGES, MAX_REFERENCE_PROMPTS, MAX_REFERENCE_TASKS
from model.clip.image import open_image
from model.data.reference import ReferenceImages, image_names, read_reference
from tests.model.conftest import tiny_processor

IMAGES = 48


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of all shades in two folders."""
    for number in range(IMAGES):
        path = tmp_path / "mine" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (5 * number, 0, 0)).save(path)
    return tmp_path / "mine"


def read(
    folder: Path,
    dataset: frozenset[str] = frozenset(),
    labels: Iterable[str] = (),
    *,
    limit_bytes: int = 10**9,
) -> ReferenceImages:
    return read_reference(folder, tiny_processor(), dataset, labels, limit_bytes=limit_bytes, folder=None, threads=2)


def ask(folder: Path, **tasks: object) -> None:
    """Saved tasks beside the images."""
    lines = (json.dumps({"name": name, "question": question}) for name, question in tasks.items())
    (folder / "tasks.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_some_are_trained_on_and_others_measured(folder: Path) -> None:
    found = read(folder)
    assert (len(found.learnt), len(found.kept_back)) == (IMAGES - 30, 30)
    assert {*found.learnt, *found.kept_back} == {*image_names(folder)}
    uncached = read(folder, limit_bytes=0)
    assert (uncached.learnt, uncached.kept_back, uncached.digest()) == (found.learnt, found.kept_back, found.digest())


def test_which_is_which_follows_from_what_the_files_hold_and_not_from_their_names(folder: Path) -> None:
    before = read(folder)
    kept = {(folder / name).read_bytes() for name in before.kept_back}
    for path in folder.glob("*/*.png"):
        path.rename(path.with_stem(f"x{path.stem}"))
    after = read(folder)
    assert {(folder / name).read_bytes() for name in after.kept_back} == kept
    assert after.digest() == before.digest() and after.kept_back != before.kept_back
    Image.new("RGB", (20, 20), (0, 99, 0)).save(folder / "new.png")
    assert read(folder).digest() != before.digest()


def test_what_can_not_be_read_is_left_out_and_told_and_ends_nothing(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "a/1.png").write_bytes((folder / "b/1.png").read_bytes()[:50])
    (folder / "notes.txt").write_text("not looked at")
    (folder / ".hidden.png").write_bytes(b"")
    found = read(folder)
    assert sorted(one.image for one in found.left_out) == ["a/1.png", "broken.jpg"]
    assert len(found.learnt) + len(found.kept_back) == IMAGES and all(one.reason for one in found.left_out)


def test_copies_count_once_and_the_datasets_own_images_not_at_all(folder: Path) -> None:
    shutil.copytree(folder / "a", folder / "copies")
    own = frozenset(sha256((folder / f"a/{number}.png").read_bytes()).hexdigest() for number in (0, 2, 4))
    found = read(folder, own)
    assert len(found.learnt) + len(found.kept_back) == IMAGES - 3 and found.of_dataset == 3
    digests = {found.images.digests[name] for name in (*found.learnt, *found.kept_back)}
    assert len(digests) == IMAGES - 3 and not digests & own


def test_of_a_large_folder_a_sample_is_taken(tmp_path: Path) -> None:
    for number in range(MAX_REFERENCE_IMAGES + 200):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert len(read(tmp_path).left_out) == MAX_REFERENCE_IMAGES


def test_an_image_is_given_as_the_dataset_gives_one(folder: Path) -> None:
    found = read(folder, limit_bytes=0)
    name = found.kept_back[0]
    whole = found.image(name)
    assert isinstance(whole, Image.Image) and whole.tobytes() == open_image((folder / name).read_bytes()).tobytes()


def test_saved_tasks_are_asked_as_they_are_in_a_request_without_what_the_dataset_teaches(folder: Path) -> None:
    described = {"label": "a drum", "annotations": ["one beats it", "round, with a skin"]}
    before = read(folder)
    ask(
        folder,
        instrument={"candidate_labels": ["violin", described, "harp"], "hypothesis_template": ["{}", "it is a {}"]},
        weld={"candidate_labels": "Crack, pore"},
        part={"candidate_labels": ["bolt"], "multi_label": True},
        state={"candidate_labels": "wet, dark", "multi_label": True},
        sign={"candidate_labels": ["Traffic light", "road_sign", "t-shirt"]},
    )
    found = read(folder, labels=["crack", "harp", "traffic_light", "t shirt"])
    assert found.questions == {"instrument": (("violin", "it is a violin"), ("one beats it", "round, with a skin"))}
    assert found.digest() != before.digest() and before.questions == {} and not found.left_out
    assert read(folder, labels=["crack"]).digest() != found.digest()


def test_what_is_no_saved_task_is_told_and_ends_nothing(folder: Path) -> None:
    good = {"candidate_labels": "day, night"}
    ask(folder, time=good, lone={"candidate_labels": ["day"]})
    with (folder / "tasks.jsonl").open("a") as file:
        file.write('not JSON\n{"name": "no question"}\n')
    found = read(folder)
    assert [*found.questions] == ["time"]
    assert [one.image for one in found.left_out] == ["tasks.jsonl:2", "tasks.jsonl:3", "tasks.jsonl:4"]
    assert "a lone label" in found.left_out[0].reason and "pydantic" not in str(found.left_out)
    (folder / "tasks.jsonl").write_bytes(b'{"name": "\xe9t\xe9", "question": {}}\n\n')
    (folder / "a/tasks.jsonl").mkdir()
    (folder / ".old").mkdir()
    ask(folder / ".old", time=good)
    found = read(folder)
    assert found.questions == {} and [one.image for one in found.left_out] == ["tasks.jsonl:1"]


def test_a_line_of_a_saved_task_ends_at_a_line_feed_alone(folder: Path) -> None:
    labels = ["day\u2028time", "night\x85fall"]
    lines = json.dumps({"name": "time", "question": {"candidate_labels": labels}}, ensure_ascii=False)
    (folder / "tasks.jsonl").write_text(lines, encoding="utf-8")
    found = read(folder)
    assert [*found.questions] == ["time"] and not found.left_out
    assert all(label in said for label, (said,) in zip(labels, found.questions["time"], strict=True))


def test_only_so_many_saved_tasks_are_asked(folder: Path) -> None:
    ask(folder, **{f"task-{number}": {"candidate_labels": "day, night"} for number in range(MAX_REFERENCE_TASKS + 1)})
    found = read(folder)
    assert len(found.questions) == MAX_REFERENCE_TASKS
    assert f"task-{MAX_REFERENCE_TASKS} is one too many" in found.left_out[0].reason
    many = {"candidate_labels": [f"word {number}" for number in range(MAX_REFERENCE_PROMPTS)]}
    ask(folder, few={"candidate_labels": "day, night"}, many=many, others={"candidate_labels": "sun, rain"})
    assert [*read(folder).questions] == ["few", "others"]
