"""What a row of a dataset says of an image: its fields, in the names that datasets use, as one record."""

import math
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from contract.annotations import MAX_SENTENCES, SPLIT_NAMES, Split
from contract.documents import LOST, NOT_TEXT, json_of
from contract.layouts.found import Findings
from contract.layouts.places import Place
from contract.limits import MAX_TEXT_CHARS
from contract.problems import shorten
from contract.problems import shown as shown_value
from contract.texts import same_to_the_model

IMAGE_FIELDS = (
    "s3_key", "image", "file_name", "filepath", "source-ref", "filename", "image_path", "path",
)  # fmt: skip
SENTENCE_FIELDS = ("sentences", "captions", "text", "caption", "title")
LABEL_FIELD = "label"
LABELS_FIELD = "labels"
TASK_FIELD = "task"
OPTIONAL_FIELDS = ("split", "held_out", "weight", "id")
"""How datasets name the image and what is said of it, the preferred name first; a class, or one per task, which may
stand in place of a sentence; what the class answers; and what may be absent.
"""
KNOWN_FIELDS = (*IMAGE_FIELDS, *SENTENCE_FIELDS, LABEL_FIELD, LABELS_FIELD, TASK_FIELD, *OPTIONAL_FIELDS)
JOB_SUFFIX = "-metadata"
"""Of what a SageMaker Ground Truth job says beside its label."""

NUMBERED_LABELS = "labels are numbers, and no dataset_infos.json or README.md names them: each is said as its number"
CUT_SENTENCES = f"sentences are cut at {MAX_TEXT_CHARS:,} characters; the model reads less of them than that"
EMPTY_SENTENCES = "empty sentences are passed over beside others of the same image"

Fields = dict[str, Any]
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_NUMBERS = re.compile(r"[\d\s.,+\-e]+")


@dataclass(frozen=True)
class Said:
    """One image and everything that a row says of it. `labels` is its class by task; "" is the task without a name."""

    image: str
    sentences: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    split: Split | None = None
    held_out: tuple[str, ...] = ()
    weight: float = 1.0
    id: str | None = None

    def annotations(self, task: str | None, split: Split | None, findings: Findings) -> Iterator[Fields]:
        """The bodies of the annotations that say it: one for each label, the first ones with the sentences. `task` and
        `split` hold where the row says none. What annotations have no place for is counted as ignored.
        """
        for name, given in (("held_out", self.held_out), ("weight", self.weight != 1), ("id", self.id)):
            if given:
                findings.ignore(name)
        parts = [self.sentences[at : at + MAX_SENTENCES] for at in range(0, len(self.sentences), MAX_SENTENCES)]
        for sentences, named in zip_longest(parts, self.labels.items()):
            body: Fields = {"sentences": list(sentences or ()), "split": self.split or split}
            if named is not None:
                body |= {"label": named[1], "task": named[0] or task}
            yield {name: value for name, value in body.items() if value is not None}


def said_in_row(
    fields: Fields, place: Place, folder: str, split: Split | None, classes: list[str], findings: Findings
) -> Said:
    """The record of a row, whose paths are relative to `folder` of the place. `split` is that of the folder, `classes`
    the names of labels that are numbers.

    Raises ValueError with a sentence for what is wrong with the row.
    """
    image_field = next((name for name in IMAGE_FIELDS if name in fields), None)
    if image_field is None:
        raise ValueError(f"names no image: one of {', '.join(IMAGE_FIELDS)} is needed")
    image = image_name(place, folder, image_field, fields[image_field])
    rest = {name: value for name, value in fields.items() if name != image_field}
    return said_of(rest, image, split, classes, findings)


def said_of(fields: Fields, image: str, split: Split | None, classes: list[str] | None, findings: Findings) -> Said:
    """The record of an image that has a name. With `classes` a label of digits is the number of a name.

    Raises ValueError.
    """
    said_field = next((name for name in SENTENCE_FIELDS if name in fields), None)
    jobs = [name for name in fields if name.endswith(JOB_SUFFIX)]
    used = {said_field, LABEL_FIELD, LABELS_FIELD, TASK_FIELD, *OPTIONAL_FIELDS, *jobs}
    used |= {name.removesuffix(JOB_SUFFIX) for name in jobs}
    written = {
        task: label
        for task, value in _labels(fields).items()
        if (label := _label(task or LABEL_FIELD, value, classes, findings)) is not None
    }
    sentences = _sentences(said_field, fields[said_field], findings) if said_field else ()
    if not sentences and not written:
        needed = f"one of {', '.join(SENTENCE_FIELDS)}, a label, or labels by task is needed"
        raise ValueError(f"{said_field}: is empty: {needed}" if said_field else f"says nothing of the image: {needed}")
    found = Said(
        image=image,
        sentences=sentences,
        labels={task: findings.spelled(task, label) for task, label in written.items()},
        split=_split(fields.get("split"), split),
        held_out=_sentences("held_out", fields.get("held_out"), findings),
        weight=_weight(fields.get("weight")),
        id=_id(fields.get("id")),
    )
    for name in fields:
        if name not in used:
            findings.ignore(name)
    return found


def image_name(place: Place, folder: str, field: str, value: object) -> str:
    """The name of the image that a row means: a path from `folder`, an s3:// address, or in `s3_key` a key.

    Backslashes are read as slashes, and composed and decomposed letters (macOS) are the same, where only that file
    exists. Raises ValueError.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field}: a path is needed, got {shown_value(value)}")
    _check_path(field, value)
    value = value.strip()
    below = ValueError(f"{field}: image {shorten(value)!r} must be a path below the dataset's folder")
    if "\0" in value:
        raise below
    if value.startswith("s3://") or field == IMAGE_FIELDS[0]:
        name = place.address(value)
        if name is None:
            raise below
        return name
    if "://" in value:
        raise ValueError(f"{field}: {shorten(value)!r} is an address, which is never fetched: put the image beside it")
    if value.startswith("/") or _WINDOWS_DRIVE.match(value) or value.startswith("\\\\"):
        raise below
    paths = [posixpath.normpath(posixpath.join(folder, each)) for each in dict.fromkeys(_with_slashes(value))]
    if any(path == "." or path == ".." or path.startswith("../") for path in paths):
        raise below
    spellings = list(dict.fromkeys(each for path in paths for each in _normal_forms(path)))
    if len(spellings) == 1 or place.exists(spellings[0]):
        return spellings[0]
    return next((each for each in spellings[1:] if place.exists(each)), paths[-1])


def beside_an_image(name: str, text: str) -> Fields:
    """The fields that a text beside an image says: a sentence in .txt, a class in .cls, an object in .json.

    Raises ValueError.
    """
    if name.lower().endswith(".json"):
        return {key: value for key, value in json_object(text).items() if key not in IMAGE_FIELDS}
    if name.lower().endswith(".cls"):
        return {LABEL_FIELD: text.strip()}
    if " " in text.strip() and _NUMBERS.fullmatch(text):
        raise ValueError(f"holds numbers alone, which are no sentence, got {shorten(' '.join(text.split()))!r}")
    return {SENTENCE_FIELDS[0]: text}


def json_object(text: str, example: str = '{"image": …, "captions": […]}') -> Fields:
    """A line as the JSON object it must be, such as the example. Raises ValueError with a sentence.

    A byte order mark may begin any line: some were the first ones of files that were joined.
    """
    try:
        value = json_of(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"is no JSON object: {example} is needed, got {shown_value(value)}")
    return value


def check_text(name: str, value: str) -> None:
    """Raises ValueError for a text that a request may not hold either: one would cost all that are sent with it."""
    _check_path(name, value)
    if LOST.search(value):
        raise ValueError(f"{name}: {NOT_TEXT}")


def _check_path(name: str, value: str) -> None:
    """A file's name may hold any character, if it is whole."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}: half of a character (a lone surrogate) stands at place {error.start + 1:,} of the text: "
            "write the whole character"
        ) from None


def split_of_folder(folder: str) -> Split | None:
    """The split that a folder is named after."""
    return SPLIT_NAMES.get(folder.rpartition("/")[2].lower())


def _labels(fields: Fields) -> dict[str, object]:
    """A row's class by task: its `labels`, its `label`, or what SageMaker Ground Truth jobs call class-name."""
    given = fields.get(LABELS_FIELD)
    named = {
        name.removesuffix(JOB_SUFFIX): job.get("class-name")
        for name, job in fields.items()
        if name.endswith(JOB_SUFFIX) and isinstance(job, dict)
    }
    if isinstance(given, dict):
        named |= given
    elif fields.get(LABEL_FIELD) is None and given is not None:
        named[_task(fields)] = given
    if fields.get(LABEL_FIELD) is not None:
        named.setdefault(_task(fields), fields[LABEL_FIELD])
    return named


def _task(fields: Fields) -> str:
    task = fields.get(TASK_FIELD)
    if task is None or task == "":
        return ""
    if not isinstance(task, str):
        raise ValueError(f"task: a name is needed, got {shown_value(task)}")
    check_text(TASK_FIELD, task)
    return task.strip()


def _label(name: str, value: object, classes: list[str] | None, findings: Findings) -> str | None:
    """A label as text; None where there is none. A whole number is a place among `classes`, or says itself."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    check_text("a task's name", name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: a label is text, got {shown_value(value)}")
    check_text(name, value)
    label = " ".join(unicodedata.normalize("NFC", value).split())
    if len(label) > MAX_TEXT_CHARS:
        raise ValueError(f"{name}: a label has at most {MAX_TEXT_CHARS:,} characters, got {len(label):,}")
    if classes is not None and label.isascii() and label.isdecimal() and len(label) < 10:
        if int(label) < len(classes):
            return classes[int(label)]
        findings.note(NUMBERED_LABELS)
    return label


def _sentences(name: str, value: object, findings: Findings) -> tuple[str, ...]:
    """The different sentences of a field, with single blanks."""
    if value is None:
        return ()
    given: list[Any] = value if isinstance(value, list) else [value]
    for each in given:
        if not isinstance(each, str):
            raise ValueError(f"{name}: give a sentence or a list of sentences, got {shown_value(each)}")
        check_text(name, each)
    found: dict[str, str] = {}
    for text in (" ".join(each.split()) for each in given):
        if not text:
            if len(given) > 1:
                findings.note(EMPTY_SENTENCES)
            continue
        if len(text) > MAX_TEXT_CHARS:
            findings.note(CUT_SENTENCES)
            text = text[:MAX_TEXT_CHARS].rstrip()
        found.setdefault(same_to_the_model(text) if len(given) > 1 else text, text)
    return tuple(found.values())


def _split(value: object, of_folder: Split | None) -> Split | None:
    if value is None or value == "":
        return of_folder
    split = SPLIT_NAMES.get(str(value).strip().lower())
    if split is None:
        raise ValueError(f"split: train, validation or test is needed, got {shown_value(value)}")
    return split


def _weight(value: object) -> float:
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight: a number greater than or equal to 0 is needed, got {shown_value(value)}")
    return weight


def _id(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float):
        raise ValueError(f"id: a name or a number is needed, got {shown_value(value)}")
    check_text("id", str(value))
    return str(value)


def _with_slashes(value: str) -> Iterator[str]:
    yield value
    yield value.replace("\\", "/")


def _normal_forms(path: str) -> Iterable[str]:
    return path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)
