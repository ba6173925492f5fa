"""Datasets in every layout that is understood, as records."""

import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from model.clip.image import open_image
from model.data.class_wording import said_in_training
from model.data.quarantine import quarantine
from model.data.readers import SEVERAL_SPLITS, SEVERAL_WEIGHTS, read_dataset, read_records
from model.data.records import DataError


def written(directory: Path, lines: Sequence[Mapping[str, object] | str]) -> Path:
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (directory / "manifest.jsonl").write_text("\n".join(text) + "\n")
    return directory


@pytest.mark.parametrize("field", ["captions", "text", "caption"])
def test_a_sentence_may_stand_under_three_names(tmp_path: Path, field: str) -> None:
    (record,) = read_records(written(tmp_path, [{"image": "a.png", field: "a  red\tcircle"}]))
    assert record.captions == ("a red circle",)


@pytest.mark.parametrize("mark", ["\u2028", "\u0085"])
def test_a_line_ends_at_a_line_feed_and_at_nothing_else(tmp_path: Path, mark: str) -> None:
    lines = [json.dumps({"image": f"{n}.png", "captions": [f"red{mark}circle"]}, ensure_ascii=False) for n in range(2)]
    assert [record.captions for record in read_records(written(tmp_path, lines))] == [("red circle",)] * 2


def test_a_repeated_caption_counts_once(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path, [{"image": "a.png", "captions": ["red", "round", "red"]}]))
    assert record.captions == ("red", "round")


def test_words_that_look_like_nothing_are_captions(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path, [{"image": "a.png", "captions": ["None", "NA", "null", "🙂"]}]))
    assert record.captions == ("None", "NA", "null", "🙂")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{not json", "line 2: is not JSON"),
        ("[" * 100_000, "line 2: is not JSON: objects and lists lie in each other, 32 deep at most"),
        ({"image": "a.png"}, "line 2: says nothing of the image"),
        ({"image": "a.png", "captions": []}, "line 2: captions: is empty"),
        ({"image": "a.png", "captions": ["", " "]}, "line 2: captions: is empty"),
        ({"image": "a.png", "captions": [None]}, "give a sentence or a list of sentences, got null"),
        ({"image": "a.png", "captions": ["half \ud83d fish"]}, "captions: half of a character"),
        ({"captions": ["red"]}, "line 2: names no image"),
        ('["a.png", "red"]', "line 2: is no JSON object"),
        ({"image": 3, "captions": ["red"]}, "line 2: image: a path is needed, got 3"),
        ({"image": "../secret.png", "captions": ["red"]}, "must be a path below"),
        ({"image": "/etc/passwd", "captions": ["red"]}, "must be a path below"),
        ({"image": "C:\\photos\\1.png", "captions": ["red"]}, "must be a path below"),
        ({"image": "https://example.com/1.png", "captions": ["red"]}, "which is never fetched"),
        ({"image": "a.png", "captions": ["red"], "split": "holdout"}, "line 2: split: train, validation or test"),
        ({"image": "a.png", "captions": ["red"], "weight": -1}, "line 2: weight: .* greater than or equal to 0"),
        ({"image": "a.png", "captions": ["red"], "weight": "heavy"}, "line 2: weight"),
        ({"image": "a.png", "captions": ["red"], "weight": float("inf")}, "line 2: is not JSON: Infinity is no number"),
        ({"image": "a.png", "labels": {"animal": True}}, "line 2: animal: a label is text, got true"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_taken(
    tmp_path: Path, line: Mapping[str, object] | str, sentence: str
) -> None:
    good, too = ({"image": name, "captions": ["red"]} for name in ("ok.png", "too.png"))
    lines: list[Mapping[str, object] | str] = [good, line, too]
    dataset = read_dataset(written(tmp_path, lines))
    assert [record.image for record in dataset.records] == ["ok.png", "too.png"]
    (fault,) = dataset.faults
    assert re.search(sentence, f"{fault.place}: {fault.reason}")


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_in_two_splits_is_kept_back_in_whatever_order_they_are_given(tmp_path: Path, order: int) -> None:
    row: dict[str, object] = {"image": "a.png"}
    lines: list[Mapping[str, object] | str] = [
        {**row, "captions": "red"},
        {**row, "captions": "round", "split": "train", "weight": 2},
        {**row, "captions": "small", "split": "test"},
        {"image": "b.png", "captions": "blue", "split": "train"},
        {"image": "b.png", "captions": "large"},
    ]
    dataset = read_dataset(written(tmp_path, lines[::order]))
    found = {record.image: (record.split, record.weight, len(record.captions)) for record in dataset.records}
    assert found == {"a.png": ("test", 2, 3), "b.png": ("train", 1, 2)}
    assert dataset.faults == []
    assert dataset.findings.notes == {SEVERAL_SPLITS: 1, SEVERAL_WEIGHTS: 1}


def test_a_folder_without_a_dataset_is_told_every_layout(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r'no \*\.jsonl manifest .*"image".*file_name.*filepath.*\.tar.*class'):
        read_records(tmp_path)
    with pytest.raises(DataError, match="holds no dataset"):
        read_records(tmp_path / "absent")


def test_rows_about_one_image_become_one_record(tmp_path: Path) -> None:
    (tmp_path / "coco.csv").write_text("filepath,title\na.jpg,a red circle\nb.jpg,a fish\na.jpg,something round\n")
    assert [(r.image, r.captions) for r in read_records(tmp_path)] == [
        ("a.jpg", ("a red circle", "something round")),
        ("b.jpg", ("a fish",)),
    ]


def test_fields_that_mean_nothing_here_are_ignored_and_counted(tmp_path: Path) -> None:
    line = {"image": "a.png", "captions": "red", "url": 7, "height": 2, "area": 3}
    dataset = read_dataset(written(tmp_path, [line, {"image": "b.png", "captions": "blue", "url": 8}]))
    assert dataset.layout == "JSON Lines"
    assert dataset.ignored_fields == {"url": 2, "height": 1, "area": 1}


def test_labels_by_task_are_kept_and_said_beside_captions_and_without(tmp_path: Path) -> None:
    labels = {"animal": "snowy_owl", "setting": "forest"}
    said, unsaid = read_records(
        written(
            tmp_path, [{"image": "a.png", "text": "an owl", "labels": labels}, {"image": "b.png", "labels": labels}]
        )
    )
    assert said.labels == unsaid.labels == labels
    assert (said.captions, unsaid.captions) == (("an owl",), ())
    assert said.wordings == unsaid.wordings == (*said_in_training("snowy_owl"), *said_in_training("forest"))


def test_weight_and_id_are_read_from_lines_and_tables(tmp_path: Path) -> None:
    written(tmp_path, [{"image": "a.png", "text": "red", "weight": 2, "id": 7}, {"image": "b.png", "text": "blue"}])
    assert [(r.weight, r.id) for r in read_records(tmp_path)] == [(2, "7"), (1, None)]
    (tmp_path / "manifest.jsonl").unlink()
    (tmp_path / "data.csv").write_text("image,text,weight,id\na.png,red,0.5,x\nb.png,blue,,\n")
    assert [(r.weight, r.id) for r in read_records(tmp_path)] == [(0.5, "x"), (1, None)]


def test_rows_about_one_image_share_their_labels(tmp_path: Path) -> None:
    row = {"image": "a.png", "text": "red"}
    labels = [{"shape": "circle"}, {"colour": "red", "shape": "disc"}]
    (record,) = read_records(written(tmp_path, [{**row, "labels": each, "id": n} for n, each in enumerate(labels)]))
    assert record.labels == {"colour": "red"} and record.id == "0"  # of two shapes neither is the image's own
    (record,) = read_records(written(tmp_path, [{"image": "a.png", "label": label} for label in "abc"]))
    assert record.labels == {} and {"a", "b", "c"} <= set(record.wordings)  # nor of three the last


def test_hugging_face_metadata_stands_in_the_folder_of_its_split(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / name).mkdir()
    (tmp_path / "train/metadata.jsonl").write_text('{"file_name": "a.png", "text": "a red circle"}\n')
    (tmp_path / "validation/metadata.jsonl").write_text('{"file_name": "a.png", "text": "a fish"}\n')
    assert [(r.image, r.split) for r in read_records(tmp_path)] == [
        ("train/a.png", "train"),
        ("validation/a.png", "validation"),
    ]


@pytest.mark.parametrize("name", ["metadata.csv", "data.tsv", "open_clip.csv"])
def test_tables_are_told_apart_by_their_header(tmp_path: Path, name: str) -> None:
    tab = "," if name == "metadata.csv" else "\t"
    columns = ("file_name", "text") if name == "metadata.csv" else ("filepath", "title")
    said = ["None", "NA", "null", "nan", '"one, two"', "🙂"]
    rows = [columns, *((f"{n}.jpg", text) for n, text in enumerate(said))]
    (tmp_path / name).write_text("\ufeff" + "\r\n".join(tab.join(row) for row in rows) + "\r\n")
    assert [r.captions for r in read_records(tmp_path)] == [(text.strip('"'),) for text in said]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("id,price\n1,2\n", "metadata.csv: has the columns id, price: one of s3_key, image, file_name"),
        ("", "has the columns of nothing"),
        ("file_name,text\n", "is empty as a dataset"),
        ("file_name,text\na.jpg,\n", "line 2: text: is empty"),
        ("file_name,text\na.jpg\n", "line 2: has fewer cells than the header"),
        ("file_name,text\na.jpg,red, round\n", "line 2: has more cells than the header"),
        ("file_name,text\n/etc/passwd,red\n", "line 2: file_name: image '/etc/passwd' must be a path below"),
        ("file_name,text\na/../../b.jpg,red\n", "must be a path below"),
        ("file_name,text,split\na.jpg,red,holdout\n", "line 2: split"),
        ("file_name,text\n\udcff.jpg,red\n", "is not UTF-8 text"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path: Path, table: str, sentence: str) -> None:
    (tmp_path / "metadata.csv").write_bytes(table.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=sentence):
        read_records(tmp_path)


def test_a_table_may_name_splits_and_labels_and_leave_some_out(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("image,label,split,held_out,price\n1.jpg,owl,test,what an owl,3\n2.jpg,owl,,,\n")
    dataset = read_dataset(tmp_path)
    assert [(r.split, r.wordings[0], r.held_out) for r in dataset.records] == [
        ("test", "owl", ("what an owl",)),
        (None, "owl", ()),
    ]
    assert dataset.ignored_fields == {"price": 2}


def test_an_s3_address_is_found_by_its_longest_ending(tmp_path: Path) -> None:
    for path in ("shop/x.jpg", "x.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    long = "z" * 300
    keys = ["2026/shop/x.jpg", "elsewhere/x.jpg", "gone/y.jpg", long]
    lines = [{"source-ref": f"s3://bucket/{key}", "caption": "a cup"} for key in keys]
    assert [r.image for r in read_records(written(tmp_path, lines))] == ["shop/x.jpg", "x.jpg", "gone/y.jpg", long]
    with pytest.raises(DataError, match="must be a path below"):
        read_records(written(tmp_path, [{"source-ref": "s3://bucket/../../etc/passwd", "caption": "a cup"}]))


def test_a_snapshots_manifest_names_images_that_lie_elsewhere_in_the_channel(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/0a").write_bytes(b"")
    folder = tmp_path / "snapshots/20260101000000-00000a"
    folder.mkdir(parents=True)
    written(folder, [{"image": "s3://bucket/images/0a", "captions": "x", "split": "test"}])
    (record,) = read_records(tmp_path)
    assert (record.image, record.split) == ("images/0a", "test")


def test_a_ground_truth_class_is_said_in_many_wordings(tmp_path: Path) -> None:
    line = {"source-ref": "s3://bucket/x.jpg", "kind": 1, "kind-metadata": {"class-name": "fishing_boat"}}
    (record,) = read_records(written(tmp_path, [line]))
    assert record.wordings == said_in_training("fishing_boat")
    assert record.labels == {"kind": "fishing_boat"}
    assert "a photo of a fishing boat" in record.wordings


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_folder_per_class_becomes_labels_and_their_wordings(tmp_path: Path, split: str) -> None:
    for path in ("cat/1.JPG", "cat/more/2.png", "owl/3.webp", "owl/notes.md", ".git/x.png"):
        (tmp_path / split / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / split / path).write_bytes(b"")
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "a folder per class" and not dataset.ignored_fields
    assert [r.image for r in dataset.records] == [split + p for p in ("cat/1.JPG", "cat/more/2.png", "owl/3.webp")]
    assert dataset.records[2].wordings == said_in_training("owl") and dataset.records[2].captions == ()
    assert [r.labels for r in dataset.records] == [{"label": "cat"}, {"label": "cat"}, {"label": "owl"}]
    assert {r.split for r in dataset.records} == {"train" if split else None}


def sharded(path: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w") as shard:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def test_tar_shards_are_read_in_place(tmp_path: Path) -> None:
    sharded(tmp_path / "0.tar", {"./1.png": png("red"), "./1.txt": b"red", "./1.json": b'{"height": 8}'})
    sharded(
        tmp_path / "1.tar",
        {"a/1.json": b'{"caption": "blue", "url": "x"}', "a/1.png": png("blue")[:30], "a/2.txt": b""},
    )
    dataset = read_dataset(tmp_path)
    assert [(r.image, r.captions) for r in dataset.records] == [("0.tar/1.png", ("red",)), ("1.tar/a/1.png", ("blue",))]
    assert dataset.ignored_fields == {"url": 1}
    readable, bad = quarantine(tmp_path, dataset.records, lambda _, data: open_image(data), max_share=0.5, threads=1)
    assert [r.image for r in readable] == ["0.tar/1.png"]
    assert [one.image for one in bad] == ["1.tar/a/1.png"]


def test_a_shard_that_was_cut_off_is_named(tmp_path: Path) -> None:
    sharded(tmp_path / "0.tar", {"1.txt": b"red", "1.png": png("red"), "2.txt": b"blue", "2.png": png("blue")})
    (tmp_path / "0.tar").write_bytes((tmp_path / "0.tar").read_bytes()[:1100])
    with pytest.raises(DataError, match=r"0\.tar is no tar shard, or cut off"):
        read_records(tmp_path)


def test_no_sample_of_a_shard_is_lost_without_a_word(tmp_path: Path) -> None:
    files = {
        f"{n}.{end}": data for n in ("0.05", "0.10", "a.b") for end, data in (("png", png("red")), ("txt", b"red"))
    }
    files |= {"7.rgb.png": png("red"), "7.cls": b"1", "8.png": png("red"), "9.png": png("red"), "9.txt": b"\xff"}
    sharded(tmp_path / "0.tar", {**files, "._8.png": b"", "10.txt": b"of none"})
    dataset = read_dataset(tmp_path)
    assert [record.image for record in dataset.records] == [
        f"0.tar/{name}" for name in ("0.05.png", "0.10.png", "7.rgb.png", "a.b.png")
    ]
    assert dataset.records[2].labels == {"label": "1"}
    assert [(fault.place, fault.reason) for fault in dataset.faults] == [
        ("0.tar sample 8.png", "no text of its name lies beside it: 8.txt is needed"),
        ("0.tar sample 9.png", "9.txt is not UTF-8 text (byte 0): save the file as UTF-8"),
    ]
    assert dataset.findings.left_out == {"they are texts in a shard without an image beside them": 1}


def test_a_shard_in_a_split_and_a_shard_that_is_cut_off_beside_it(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        sharded(tmp_path / split / "0.tar", {"1.png": png("red"), "1.txt": b"red"})
    (tmp_path / "train/1.tar").write_bytes(b"no tar")
    dataset = read_dataset(tmp_path)
    assert [(record.image, record.split) for record in dataset.records] == [
        ("train/0.tar/1.png", "train"),
        ("val/0.tar/1.png", "validation"),
    ]
    assert [fault.place for fault in dataset.faults] == ["train/1.tar"]


def test_images_of_one_class_alone_teach_nothing(tmp_path: Path) -> None:
    for path in ("cat/1.png", "Cat/2.png"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(b"")
    with pytest.raises(DataError, match=r"all in the folder of one class \('Cat'\), and two folders or more"):
        read_dataset(tmp_path)


def test_captions_the_same_to_the_model_are_one(tmp_path: Path) -> None:
    lines = [{"image": "a.png", "text": text} for text in ("A red circle", "a red  CIRCLE", "round")]
    (record,) = read_records(written(tmp_path, lines))
    assert record.captions == ("A red circle", "round")
