"""Which layout a folder has, and what is said of the files that did not decide it."""

import json
from pathlib import Path

import pytest

from contract.layouts.find import LayoutError, Pair, class_names, find_layout, pairs_of
from contract.layouts.found import Findings, Layout
from contract.layouts.places import Directory

GOOD = '{"image": "cat/1.png", "text": "red"}\n'


def found(root: Path, files: dict[str, str]) -> tuple[Layout, list[str]]:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    findings = Findings()
    return find_layout(Directory(root), findings), findings.sentences()


CLASSES = {"cat/1.png": "", "dog/2.png": ""}


@pytest.mark.parametrize(
    ("files", "kind", "why"),
    [
        ({"a.jsonl": GOOD, "b.csv": "image,text\ncat/1.png,red\n", **CLASSES}, "JSON Lines", "a.jsonl names images"),
        ({"b.csv": "image,text\ncat/1.png,red\n", **CLASSES}, "table", "b.csv names images"),
        ({"0.tar": "", "1.tar": ""}, "tar shards", "0.tar, 1.tar"),
        (CLASSES, "a folder per class", "folders cat, dog"),
        ({"train/cat/1.png": "", "val/cat/2.png": ""}, "a folder per class", "folders cat within folders per split"),
        ({"1.png": "", "1.txt": "red", "2.png": ""}, "a text per image", "1 of 2 images have a text beside them"),
        ({"a/1.png": "", "a/1.txt": "red"}, "a text per image", "1 of 1 images have a text beside them"),
        ({**CLASSES, "cat/1.txt": "red"}, "a folder per class", "folders cat, dog and 1 of 2 images have a text"),
        ({**CLASSES, "backup.tar": ""}, "a folder per class", "folders cat, dog"),
        ({"metadata.csv": "image,text\ngone.png,red\n", **CLASSES}, "table", "metadata.csv names images"),
    ],
)
def test_the_layout_is_told_with_what_decided_it(tmp_path: Path, files: dict[str, str], kind: str, why: str) -> None:
    layout, _ = found(tmp_path, files)
    assert layout.kind == kind and layout.why.startswith(why)


@pytest.mark.parametrize(
    ("stray", "content", "sentence"),
    [
        ("notes.csv", "date,who\n2024,me\n", "notes.csv names no images"),
        ("sizes.csv", "image,width\ncat/1.png,3\n", "sizes.csv says nothing of images"),
        ("other.csv", "image,text\ngone.png,red\n", "other.csv names images that are not here"),
        ("log.jsonl", '{"epoch": 1}\n', "log.jsonl names no images"),
        ("empty.jsonl", "", "empty.jsonl names no images"),
        ("README.txt", "hello", "no images, and no texts beside one, such as README.txt"),
        ("cat/labels.txt", "cat", "no images, and no texts beside one, such as cat/labels.txt"),
        ("0.tar", "", "tar shards are not read beside images"),
    ],
)
def test_a_stray_file_does_not_decide_the_layout_and_is_told(
    tmp_path: Path, stray: str, content: str, sentence: str
) -> None:
    layout, told = found(tmp_path, {**CLASSES, stray: content})
    assert layout.kind == "a folder per class"
    assert len(told) == 1 and told[0].startswith("left out: 1 because") and sentence in told[0]


def test_a_manifest_that_is_utf_16_is_still_the_manifest(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"")
    (tmp_path / "metadata.csv").write_bytes("file_name,text\ncat/1.png,red\n".encode("utf-16"))
    assert find_layout(Directory(tmp_path), Findings()).manifests == ["metadata.csv"]


@pytest.mark.parametrize("files", [{}, {"1.png": ""}, {"images/1.png": ""}, {"a.parquet": "", "notes.txt": ""}])
def test_what_is_no_dataset_is_refused_with_what_is_needed(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(LayoutError, match=r"no \*\.jsonl manifest .* no 1\.txt beside 1\.jpg"):
        found(tmp_path, files)


def test_a_manifest_alone_is_read_though_it_names_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, {"a.csv": "id,price\n"})[0].manifests == ["a.csv"]


def test_a_layout_that_an_earlier_version_stored_is_understood() -> None:
    assert Layout.model_validate({"manifests": [], "split_folders": True}).labelled


@pytest.mark.parametrize(
    ("names", "pairs", "left"),
    [
        (["1.png", "1.txt"], {"1.png": "1.txt"}, []),
        (["1.JPG", "1.json", "1.txt"], {"1.JPG": "1.txt"}, []),
        (["0.05.png", "0.05.txt", "0.10.png", "0.10.txt"], {"0.05.png": "0.05.txt", "0.10.png": "0.10.txt"}, []),
        (["1.rgb.png", "1.txt"], {"1.rgb.png": "1.txt"}, []),
        (["1.png", "1.seg.png", "1.txt"], {"1.png": "1.txt", "1.seg.png": None}, []),
        (["1.a.png", "1.b.png", "1.txt"], {"1.a.png": None, "1.b.png": None}, ["1.txt"]),
        (["a/1.png", "b/1.txt"], {"a/1.png": None}, ["b/1.txt"]),
        (["v1.0/1.png", "v1.0/1.txt"], {"v1.0/1.png": "v1.0/1.txt"}, []),
    ],
)
def test_a_text_belongs_to_the_image_of_its_name(
    names: list[str], pairs: dict[str, str | None], left: list[str]
) -> None:
    found = list(pairs_of(sorted(names)))
    assert {pair.image: pair.text for each, _ in found for pair in each} == pairs
    assert [name for _, texts in found for name in texts] == left


def test_two_images_that_a_text_may_mean_are_told_so() -> None:
    ((pairs, _),) = pairs_of(["1.a.png", "1.b.png", "1.txt"])
    assert pairs[0] == Pair("1.a.png", None, "2 images may be meant by 1.txt")


def test_names_of_numbers_are_those_of_the_label(tmp_path: Path) -> None:
    infos = {"default": {"features": {"size": {"names": ["s", "l"]}, "label": {"names": ["cat", "dog"]}}}}
    (tmp_path / "dataset_infos.json").write_text(json.dumps(infos))
    (tmp_path / "README.md").write_bytes("# caf\xe9".encode("latin-1"))
    place = Directory(tmp_path)
    assert class_names(place, ["README.md", "dataset_infos.json"]) == ["cat", "dog"]
    assert class_names(place, ["README.md", "absent.json"]) == []
    (tmp_path / "dataset_infos.json").write_text("[" * 100_000)
    assert class_names(place, ["dataset_infos.json"]) == []
