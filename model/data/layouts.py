"""The layouts that datasets come in: each is recognised by its files and read as rows, one function per layout."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from contract.annotations import SPLIT_NAMES
from contract.imports import IMAGE_SUFFIXES
from contract.trainings import SNAPSHOTS_PREFIX
from model.data.records import CAPTION_FIELDS, IMAGE_FIELDS, LABEL_FIELD, OPTIONAL_FIELDS, DataError, Split
from model.data.shards import SHARD, members_bytes, shard_index

SNAPSHOTS = SNAPSHOTS_PREFIX.rstrip("/")
"""The folder of a channel whose manifest lies where the API wrote it, and whose images lie elsewhere."""
TEXT_SUFFIXES = (".txt", ".json")
"""Beside an image in a shard, the preferred one first."""
MAX_CELL_CHARS = 1_000_000
HERE = PurePosixPath()

Fields = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """The fields of one image as a file says them, where that is (`data.csv line 3`), and what a path there is relative
    to, as a path below the dataset's folder.
    """

    place: str
    fields: Fields
    folder: PurePosixPath = HERE
    split: Split | None = None


def _json_lines(directory: Path, path: Path) -> Iterator[Row]:
    name, folder, split = _whereabouts(directory, path)
    for number, line in enumerate(_text(path).split("\n"), start=1):  # JSON may hold other line ends within a string
        if line.strip():
            place = f"{name} line {number}"
            yield Row(place, _json_object(line, place), folder, split)


def _table(directory: Path, path: Path) -> Iterator[Row]:
    """Every cell is text: None and NA are words."""
    name, folder, split = _whereabouts(directory, path)
    text = _text(path)
    csv.field_size_limit(MAX_CELL_CHARS)
    # open_clip's own default is a file called .csv with tabs in it
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in text.partition("\n")[0] else ",")
    try:
        columns = rows.fieldnames or ()
        if not set(columns) & set(IMAGE_FIELDS) or not set(columns) & {*CAPTION_FIELDS, LABEL_FIELD}:
            raise DataError(
                f"{name} has the columns {', '.join(columns) or 'of nothing'}: one of {', '.join(IMAGE_FIELDS)} and "
                f"one of {', '.join((*CAPTION_FIELDS, LABEL_FIELD))} are needed"
            )
        for cells in rows:
            if None in cells:
                raise DataError(f"{name} line {rows.line_num} has more cells than the header: quote what holds commas")
            said = {key: value for key, value in cells.items() if value or key not in OPTIONAL_FIELDS}
            yield Row(f"{name} line {rows.line_num}", said, folder, split)
    except csv.Error as error:
        raise DataError(f"{name} line {rows.line_num} is no table row: {error}") from None


def _shard(directory: Path, path: Path) -> Iterator[Row]:
    """A sample's files share their name up to its first full stop."""
    name, _, split = _whereabouts(directory, path)
    try:
        members = [PurePosixPath(member) for member in shard_index(path)]
        texts = dict(members_bytes(path, [str(m) for m in members if m.suffix.lower() in TEXT_SUFFIXES]))
    except OSError as error:
        raise DataError(f"{name} can't be read: {error}") from None
    samples: dict[PurePosixPath, dict[str, PurePosixPath]] = {}
    for member in members:
        stem, _, suffix = member.name.partition(".")
        samples.setdefault(member.parent / stem, {})[f".{suffix.lower()}"] = member
    for key, files in samples.items():
        image = next((files[suffix] for suffix in files if suffix in IMAGE_SUFFIXES), None)
        if image is None:
            continue
        place = f"{name} sample {key}"
        yield Row(place, {**_said_beside(files, texts, place), IMAGE_FIELDS[0]: f"{name}/{image}"}, split=split)


def _said_beside(files: Mapping[str, PurePosixPath], texts: Mapping[str, bytes], place: str) -> Fields:
    for suffix in TEXT_SUFFIXES:
        if suffix not in files:
            continue
        try:
            text = texts[files[suffix].as_posix()].decode()
        except UnicodeDecodeError:
            raise DataError(f"{place}: {files[suffix].name} is not UTF-8 text") from None
        said = _json_object(text, place) if suffix == ".json" else {CAPTION_FIELDS[0]: text}
        return {key: value for key, value in said.items() if key not in IMAGE_FIELDS}
    return {}


def _classes(directory: Path) -> Iterator[Row] | None:
    """A row per image in folders named after classes, or None where there are fewer than two such folders."""
    groups: list[tuple[Path, Split | None]] = [(path, SPLIT_NAMES.get(path.name)) for path in _folders(directory)]
    if not all(split for _, split in groups):
        groups = [(directory, None)]
    images = [
        (path.relative_to(directory).as_posix(), label.name, split)
        for group, split in groups
        for label in _folders(group)
        for path in sorted(label.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]
    if len({label for _, label, _ in images}) < 2:
        return None
    return (Row(image, {IMAGE_FIELDS[0]: image, LABEL_FIELD: label}, split=split) for image, label, split in images)


def _of_files(
    suffixes: Sequence[str], read: Callable[[Path, Path], Iterator[Row]]
) -> Callable[[Path], Iterator[Row] | None]:
    """The layout of files with one of the suffixes, in the folder, in its folders that are named after splits, and in a
    snapshot; `read` gives the rows of one.
    """

    def rows(directory: Path) -> Iterator[Row] | None:
        splits = [path for path in _folders(directory) if path.name in SPLIT_NAMES]
        files = [
            path
            for place in (directory, *splits, *_folders(directory / SNAPSHOTS))
            if place.is_dir()
            for path in sorted(place.iterdir())
            if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
        ]
        return (row for path in files for row in read(directory, path)) if files else None

    return rows


LAYOUTS: dict[str, Callable[[Path], Iterator[Row] | None]] = {
    "JSON Lines": _of_files((".jsonl",), _json_lines),
    "table": _of_files((".csv", ".tsv"), _table),
    "tar shards": _of_files((SHARD,), _shard),
    "a folder per class": _classes,
}
"""What reads the rows of all its files in their order, or is None where the folder has another layout."""


def _folders(directory: Path) -> list[Path]:
    found = directory.iterdir() if directory.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _whereabouts(directory: Path, path: Path) -> tuple[str, PurePosixPath, Split | None]:
    """A file's name and folder below the dataset's, and the split its folder is named after."""
    name = PurePosixPath(path.relative_to(directory).as_posix())
    return name.as_posix(), name.parent, SPLIT_NAMES.get(name.parent.name)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text (byte {error.start:,}): save it as UTF-8") from None


def _json_object(text: str, place: str) -> Fields:
    try:
        value = json.loads(text)
    except RecursionError:
        raise DataError(f"{place} is nested too deeply: an object of strings is needed") from None
    except ValueError as error:
        raise DataError(f"{place} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f'{place} is no JSON object: {{"image": …, "captions": […]}} is needed')
    return value
