"""A dataset in any of the usual layouts as records: `contract.layouts` has these, and reads them.

Rows about the same image become one record. Its labels are said as classes are, beside its captions if it has any.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.annotations import STRICTEST
from contract.layouts.find import CLASSES, LayoutError
from contract.layouts.found import Findings
from contract.layouts.places import MAX_TEXT_FILE_BYTES, Directory, Line, Place, split_lines
from contract.layouts.rows import Row, read_all
from contract.layouts.said import Said
from model.data.batch import one_of_each, text_key
from model.data.class_wording import said_in_training
from model.data.records import LABEL_FIELD, DataError, Record
from model.data.shards import members_bytes, shard_index

NAMED_FAULTS = 5
SEVERAL_SPLITS = f"rows give an image several splits: the first of {', '.join(STRICTEST)} counts"
SEVERAL_WEIGHTS = "rows give an image several weights: the largest counts"


@dataclass(frozen=True)
class Fault:
    """A line, a file or a sample that was left out, and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A folder's layout and records, what was left out line by line, and what else was noticed."""

    layout: str
    records: list[Record]
    faults: list[Fault]
    findings: Findings

    @property
    def ignored_fields(self) -> Counter[str]:
        """How often each field was met that means nothing here."""
        return Counter(self.findings.ignored_fields)


@dataclass(frozen=True)
class Shard:
    """The files in a tar, which is never unpacked."""

    path: Path

    def names(self, after: str = "") -> Iterator[str]:
        return (name for name in sorted(shard_index(self.path)) if name > after)

    def lines(self, name: str, after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
        return split_lines([self.read(name)[offset_bytes:]], after_line, offset_bytes)

    def read(self, name: str) -> bytes:
        if not self.exists(name):
            raise FileNotFoundError(f"{self.path.name} has no member {name!r}")
        return next(data for _, data in members_bytes(self.path, [name]))[: MAX_TEXT_FILE_BYTES + 1]

    def exists(self, name: str) -> bool:
        return name in shard_index(self.path)

    def address(self, address: str) -> str | None:
        return None

    def shard(self, name: str) -> Place:
        raise OSError("a tar within a tar is not read")


class DirectoryWithShards(Directory):
    """A folder of this machine whose tar shards are read in place."""

    def shard(self, name: str) -> Place:
        return Shard(self.root / name)


def read_records(directory: Path) -> list[Record]:
    """The records of whatever layout the folder has. Raises DataError."""
    return read_dataset(directory).records


def read_dataset(directory: Path) -> Dataset:
    """Recognise the folder's layout and read it. What can't be taken is among the faults.

    Raises DataError where nothing can be taken: with the known layouts, or with the first faults.
    """
    try:
        reading = read_all(DirectoryWithShards(directory))
    except LayoutError as error:
        raise DataError(f"{directory} holds no dataset: {error}") from None
    layout = reading.layout
    faults: list[Fault] = []
    records = merged(_records(reading.rows, faults), reading.findings)
    if not records:
        first = "; ".join(f"{one.place}: {one.reason}" for one in faults[:NAMED_FAULTS])
        more = f" and {len(faults) - NAMED_FAULTS:,} more" if len(faults) > NAMED_FAULTS else ""
        told = f"{len(faults):,} faults: {first}{more}" if faults else "one line per image is needed"
        raise DataError(f"{directory} is empty as a dataset ({layout.kind}): {told}")
    if layout.kind == CLASSES and not layout.texts:
        labels = {text_key(label) for record in records for label in record.labels.values()}
        if len(labels) < 2:
            raise DataError(
                f"{directory} holds no dataset: its images are all in the folder of one class "
                f"({next(iter(records[0].labels.values()))!r}), and two folders or more are needed, each named after a "
                "class"
            )
    return Dataset(layout.kind, records, faults, reading.findings)


def merged(records: Iterable[Record], findings: Findings) -> list[Record]:
    """One record per image, with all that is said of it. Of several splits the strictest counts, as in a snapshot of
    the same annotations, and of several weights the largest.
    """
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.image, []).append(record)
    return [alike[0] if len(alike) == 1 else _union(alike, findings) for alike in found.values()]


def _union(alike: Sequence[Record], findings: Findings) -> Record:
    """All records of one image as one. An image that has several labels in a task has none of its own there, but is
    still said to be each.
    """
    labels: dict[str, set[str]] = {}
    for task, label in (item for record in alike for item in record.labels.items()):
        labels.setdefault(task, set()).add(label)
    splits = {record.split for record in alike if record.split}
    weights = {record.weight for record in alike}
    if len(splits) > 1:
        findings.note(SEVERAL_SPLITS)
    if len(weights) > 1:
        findings.note(SEVERAL_WEIGHTS)
    changes = {
        "captions": one_of_each(said for record in alike for said in record.captions),
        "wordings": one_of_each(said for record in alike for said in record.wordings),
        "held_out": one_of_each(said for record in alike for said in record.held_out),
        "labels": {task: label for task, (label, *others) in labels.items() if not others},
        "split": next((split for split in STRICTEST if split in splits), None),
        "weight": max(weights),
    }
    return alike[0].model_copy(update=changes)


def _records(rows: Iterable[Row], faults: list[Fault]) -> Iterator[Record]:
    for row in rows:
        if isinstance(row.said, str):
            faults.append(Fault(row.place, row.said))
        else:
            yield _record(row.said)


def _record(said: Said) -> Record:
    return Record(
        image=said.image,
        captions=said.sentences,
        wordings=one_of_each(text for label in said.labels.values() for text in said_in_training(label)),
        held_out=said.held_out,
        split=said.split,
        labels={task or LABEL_FIELD: label for task, label in said.labels.items()},
        weight=said.weight,
        id=said.id,
    )
