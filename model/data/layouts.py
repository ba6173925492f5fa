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
TABLE_SUFFIXES = (".csv", ".tsv")
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


def read_json_lines(directory: Path) -> Iterator[Row] | None:
    """Rows of all *.jsonl files in their order, or None where there are none."""
    files = _files(directory, (".jsonl",))
    return (row for path in files for row in _json_lines(directory, path)) if files else None


def _json_lines(directory: Path, path: Path) -> Iterator[Row]:
    name, folder, split = _whereabouts(directory, path)
    for number, line in enumerate(_text(path).split("\n"), start=1):  # JSON may hold other line ends within a string
        if line.strip():
            place = f"{name} line {number}"
            yield Row(place, _json_object(line, place), folder, split)


def read_tables(directory: Path) -> Iterator[Row] | None:
    """Rows of all tables in their order, or None where there are none. Every cell is text: None and NA are words."""
    files = _files(directory, TABLE_SUFFIXES)
    return (row for path in files for row in _table(directory, path)) if files else None


def _table(directory: Path, path: Path) -> Iterator[Row]:
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


def read_shards(directory: Path) -> Iterator[Row] | None:
    """Rows of all tar shards in their order, or None where there are none."""
    files = _files(directory, (SHARD,))
    return (row for path in files for row in _shard(directory, path)) if files else None


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


def read_classes(directory: Path) -> Iterator[Row] | None:
    """A row per image in folders named after classes, or None where there are fewer than two such folders."""
    folders = {path.name: path for path in _folders(directory)}
    if folders and folders.keys() <= SPLIT_NAMES.keys():
        groups: list[tuple[Path, Split | None]] = [(path, SPLIT_NAMES[name]) for name, path in folders.items()]
    else:
        groups = [(directory, None)]
    rows = [
        _classified(path.relative_to(directory).as_posix(), label.name, split)
        for group, split in groups
        for label in _folders(group)
        for path in sorted(label.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]
    return iter(rows) if len({row.fields[LABEL_FIELD] for row in rows}) > 1 else None


def _classified(image: str, label: str, split: Split | None) -> Row:
    return Row(image, {IMAGE_FIELDS[0]: image, LABEL_FIELD: label}, split=split)


LAYOUTS: dict[str, Callable[[Path], Iterator[Row] | None]] = {
    "JSON Lines": read_json_lines,
    "table": read_tables,
    "tar shards": read_shards,
    "a folder per class": read_classes,
}


def _files(directory: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with one of the suffixes, in the folder, in its folders that are named after splits, and in a snapshot."""
    splits = [path for path in _folders(directory) if path.name in SPLIT_NAMES]
    places = [directory, *splits, *_folders(directory / SNAPSHOTS)]
    return [
        path
        for place in places
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    ]


def _folders(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))


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
