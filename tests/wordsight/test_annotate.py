import json
from pathlib import Path

from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell, System


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(JPEG_START + content.encode())


def kept(system: System, dataset: str) -> set[tuple[str, str | None, tuple[str, ...]]]:
    """(split, label, sentences) of everything in a dataset."""
    found = [each.value for each in system.store.read_all(list(system.store.keys(f"annotations/{dataset}/")))]
    return {(each["split"], each["label"], tuple(each["sentences"])) for each in found}


def test_a_folder_per_label_becomes_labels(shell: Shell, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(3):
            write(tmp_path / label / f"{number}.jpg", f"{label}{number}")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    ran = shell("annotate", tmp_path, "--dataset", "pets", "--task", "pet", "--split", "train")
    assert (ran.status, ran.out) == (0, "6 new annotations, 0 were there already\n")
    assert "6/6 images" in ran.err and "a folder per class: folders cat, dog" in ran.err
    assert "left out: 1 because they are no images, and no texts beside one, such as cat/notes.txt" in ran.err
    again = shell("annotate", tmp_path, "--dataset", "pets", "--task", "pet", "--split", "train")
    assert again.out == "0 new annotations, 6 were there already\n"


def test_split_folders_and_metadata_say_what_they_say(shell: Shell, tmp_path: Path, system: System) -> None:
    write(tmp_path / "folders" / "train" / "cat" / "1.jpg", "1")
    write(tmp_path / "folders" / "val" / "dog" / "2.jpg", "2")
    lines = [{"file_name": "3.jpg", "text": "a cat asleep"}, {"image": "4.jpg", "label": "dog", "task": "pet"}]
    for line in lines:
        write(tmp_path / "lines" / "validation" / str(line.get("file_name") or line["image"]), json.dumps(line))
    (tmp_path / "lines" / "validation" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for folder in ("folders", "lines"):
        assert shell("annotate", tmp_path / folder, "--dataset", folder).status == 0
    assert kept(system, "folders") == {("train", "cat", ()), ("validation", "dog", ())}
    assert kept(system, "lines") == {("validation", None, ("a cat asleep",)), ("validation", "dog", ())}


def test_what_is_not_kept_is_told_of_and_the_rest_is_kept(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "cat" / "1.jpg", "1")
    (tmp_path / "cat" / "2.jpg").write_bytes(b"no image")
    ran = shell("annotate", tmp_path)
    assert (ran.status, ran.out) == (1, "1 new annotations, 0 were there already\n")
    assert "1 of 2 images were not kept" in ran.err and "2.jpg: the image is not one" in ran.err


def test_a_folder_without_annotations_is_refused(shell: Shell, tmp_path: Path) -> None:
    assert "nothing to annotate" in shell("annotate", tmp_path).err
    assert "is no folder" in shell("annotate", tmp_path / "absent").err
    (tmp_path / "metadata.jsonl").write_text('{"text": "of nothing"}')
    assert "metadata.jsonl line 1: names no image" in shell("annotate", tmp_path).err


def test_a_file_that_can_not_be_read_stops_no_other(shell: Shell, tmp_path: Path, system: System) -> None:
    for name in ("circle/0.png", "square/0.png"):
        write(tmp_path / name, name)
    (tmp_path / "circle" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "square" / "dir.png").mkdir()
    (tmp_path / "square" / "empty.png").write_bytes(b"")
    (tmp_path / "square" / "huge.png").write_bytes(b"\xff\xd8\xff".ljust(24_000_001))
    ran = shell("annotate", tmp_path, "--dataset", "shapes")
    assert (ran.status, ran.out) == (1, "2 new annotations, 0 were there already\n")
    assert "3 of 5 images were not kept:" in ran.err and "  circle/gone.png: " in ran.err
    assert "  square/empty.png: " in ran.err and "24,000,001 bytes" in ran.err
    assert {label for _, label, _ in kept(system, "shapes")} == {"circle", "square"}


def test_every_fault_is_told_with_its_line(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "1.jpg", "1")
    (tmp_path / "metadata.jsonl").write_text("{\n" * 30 + '{"file_name": "1.jpg", "text": "one"}\n')
    ran = shell("annotate", tmp_path)
    assert (ran.status, ran.out) == (1, "1 new annotations, 0 were there already\n")
    assert all(f"  metadata.jsonl line {number}: is not JSON" in ran.err for number in range(1, 31))


def test_a_folder_of_shards_is_told_what_to_do(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(b"")
    ran = shell("annotate", tmp_path)
    assert ran.status == 1 and "unpack them into a folder" in ran.err
