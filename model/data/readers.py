"""A dataset in any of the usual layouts, recognised by looking at the folder, as records.

JSON Lines   *.jsonl, also in train/, validation/, test/ and snapshots/*/:
             {"image": "1.jpg", "captions": ["a red circle", "round"]}.
             Hugging Face's `file_name` and `text` (metadata.jsonl) and SageMaker's `source-ref` are the same to it.
table        *.csv or *.tsv with a header: `file_name,text` (Hugging Face) or `filepath`, `title` (open_clip)
shards       *.tar (webdataset): 1.jpg beside 1.txt, or beside 1.json with a caption
classes      one folder of images per class, also in train/, validation/ and test/

Rows about the same image become one record. A row may have a `label`, or `labels` by task, such as {"animal": "owl"};
without a caption these are said as classes are. See `model.data.records.Record` for `split`, `weight` and `id`.
Paths are relative to the file that names them; an s3:// address is looked for by its longest ending that exists.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from model.data.class_wording import said_in_evaluation, said_in_training
from model.data.layouts import LAYOUTS, Fields, Row
from model.data.records import (
    CAPTION_FIELDS,
    IMAGE_FIELDS,
    LABEL_FIELD,
    LABELS_FIELD,
    OPTIONAL_FIELDS,
    DataError,
    Record,
)

JOB_SUFFIX = "-metadata"


@dataclass(frozen=True)
class Dataset:
    """A folder's layout and records, and how often each field was met that means nothing here."""

    layout: str
    records: list[Record]
    ignored_fields: Counter[str] = field(default_factory=Counter)


def read_records(directory: Path) -> list[Record]:
    """The records of whatever layout the folder has. Raises DataError."""
    return read_dataset(directory).records


def read_dataset(directory: Path) -> Dataset:
    """Recognise the folder's layout and read it. Raises DataError naming the file and line, or the known layouts."""
    ignored: Counter[str] = Counter()
    for layout, read in LAYOUTS.items():
        rows = read(directory)
        if rows is None:
            continue
        records = merged(_record(directory, row, ignored) for row in rows)
        if not records:
            raise DataError(f"{directory} is empty as a dataset ({layout}): one line per image is needed")
        return Dataset(layout, records, ignored)
    raise DataError(
        f"{directory} holds no dataset: no *.jsonl manifest with lines such as "
        '{"image": "images/1.jpg", "captions": ["a red circle"]}, no *.csv or *.tsv table with the columns file_name '
        "and text (or filepath and title), no *.tar shard of 1.jpg beside 1.txt, and not two folders of images or "
        "more, each named after a class"
    )


def merged(records: Iterator[Record]) -> list[Record]:
    """One record per image, with all that is said of it. Raises DataError for an image with two splits or weights."""
    found: dict[str, list[Record]] = {}
    for record in records:
        alike = found.setdefault(record.image, [])
        alike.append(record)
        known = alike[0]
        if known.split != record.split:
            raise DataError(f"{record.image} is in the splits {known.split} and {record.split}: an image has one")
        if known.weight != record.weight:
            raise DataError(f"{record.image} has the weights {known.weight:g} and {record.weight:g}: an image has one")
    return [alike[0] if len(alike) == 1 else _union(alike) for alike in found.values()]


def _union(alike: Sequence[Record]) -> Record:
    """All records of one image as one. An image that has several labels in a task has none of its own there, but is
    still said to be each.
    """
    captions = tuple(dict.fromkeys(said for record in alike for said in record.captions))
    held_out = tuple(dict.fromkeys(said for record in alike for said in record.held_out))
    labels: dict[str, set[str]] = {}
    for task, label in (item for record in alike for item in record.labels.items()):
        labels.setdefault(task, set()).add(label)
    own = {task: label for task, (label, *others) in labels.items() if not others}
    return alike[0].model_copy(update={"captions": captions, "held_out": held_out, "labels": own})


def _record(directory: Path, row: Row, ignored: Counter[str]) -> Record:
    image_field = next((name for name in IMAGE_FIELDS if name in row.fields), IMAGE_FIELDS[0])
    said_field = next((name for name in CAPTION_FIELDS if name in row.fields), None)
    used = {image_field, said_field, *OPTIONAL_FIELDS}
    fields = {name: value for name, value in row.fields.items() if name in used}
    if labels := _labels(row.fields):
        fields[LABELS_FIELD] = labels
        used |= {LABEL_FIELD, LABELS_FIELD, *(f"{task}{JOB_SUFFIX}" for task in labels)}
    if said_field is None and labels:
        classes = list(map(str, labels.values()))  # what is no text is refused below
        fields[CAPTION_FIELDS[0]] = [said for label in classes for said in said_in_training(label)]
        fields.setdefault("held_out", [said for label in classes for said in said_in_evaluation(label)])
    if fields.get("split") is None:
        fields["split"] = row.split
    ignored.update(name for name in row.fields if name not in used)
    try:
        record = Record.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise DataError(f"{row.place}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    return record.model_copy(update={"image": _below(directory, record.image, row)})


def _labels(fields: Fields) -> dict[str, Any]:
    """A row's class by task: its `labels`, its `label`, or what SageMaker Ground Truth jobs call class-name."""
    if isinstance(fields.get(LABELS_FIELD), dict):
        return dict(fields[LABELS_FIELD])
    jobs = {name.removesuffix(JOB_SUFFIX): job for name, job in fields.items() if name.endswith(JOB_SUFFIX)}
    named = {name: job.get("class-name") for name, job in jobs.items() if isinstance(job, dict)}
    named |= {LABEL_FIELD: fields.get(LABEL_FIELD)}
    return {task: label for task, label in named.items() if isinstance(label, str) and label.strip()}


def _below(directory: Path, image: str, row: Row) -> str:
    """The image's path below the dataset's folder."""
    if image.startswith("s3://"):
        parts = PurePosixPath(image.removeprefix("s3://")).parts[1:]
        endings = ["/".join(parts[start:]) for start in range(len(parts))]
        path = next((e for e in endings if ".." not in parts and _is_file(directory / e)), "/".join(parts))
    else:
        path = (row.folder / image).as_posix()
    if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
        raise DataError(f"{row.place}: image {image!r} must be a path below the dataset's folder")
    return path


def _is_file(path: Path) -> bool:
    """A name too long for the file system is no file; `Path.is_file` raises."""
    try:
        return path.is_file()
    except OSError:
        return False
