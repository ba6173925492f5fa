"""Which layout a dataset has: decided once, by the names of all its files and the first rows of its manifests."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from contract.annotations import SPLIT_NAMES
from contract.documents import json_of
from contract.layouts.found import Findings, Layout
from contract.layouts.places import IMAGE_SUFFIXES, SHARD_SUFFIX, Place, is_hidden, shown, suffix_of
from contract.layouts.said import (
    IMAGE_FIELDS,
    JOB_SUFFIX,
    KNOWN_FIELDS,
    LABEL_FIELD,
    LABELS_FIELD,
    SENTENCE_FIELDS,
    Fields,
    image_name,
    json_object,
)
from contract.layouts.tables import UTF_16, header_of, rows_of, text_of
from contract.problems import shorten

JSON_LINES, TABLE, SHARDS, CLASSES, TEXTS = (
    "JSON Lines",
    "table",
    "tar shards",
    "a folder per class",
    "a text per image",
)
LINES_SUFFIX = ".jsonl"
TABLE_SUFFIXES = (".csv", ".tsv")
TEXT_SUFFIXES = (".txt", ".json", ".cls")
"""Beside an image, the preferred one first."""
NEEDED = (
    'no *.jsonl manifest with lines such as {"image": "images/1.jpg", "captions": ["a red circle"]}, no *.csv or *.tsv '
    "table with the columns file_name and text (or image and label, or filepath and title), no *.tar shard of 1.jpg "
    "beside 1.txt, no folders of images that are named after classes, and no 1.txt beside 1.jpg"
)
MAX_MANIFEST_DEPTH = 2
PROBED_ROWS = 20
PROBED_FILES = 200
NAMED = 5
_NAMES_NO_CLASS = frozenset({"image", "images", "img", "imgs", "data", "dataset", "photos", "pictures", "jpegimages"})
"""Folders of which one alone is where the images lie, and no class."""
_CONVENTIONAL = ("metadata.", "manifest.")
"""What manifests are called: one with such a name is read whatever lies beside it."""
_CLASS_NAMES = ("dataset_infos.json", "dataset_info.json", "README.md")


class LayoutError(Exception):
    """What lies there is no dataset. The text says what is needed."""


@dataclass
class _PassedOver:
    """Files of a kind that are not read: how many, and the first of them."""

    what: str
    times: int = 0
    first: str = ""

    def add(self, *names: str) -> None:
        self.times += len(names)
        self.first = self.first or (names[0] if names else "")


@dataclass
class _Listing:
    """What the names of all files tell."""

    images: int = 0
    beside: int = 0
    tops: set[str] = field(default_factory=set)
    seconds: set[str] = field(default_factory=set)
    manifests: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    about_classes: list[str] = field(default_factory=list)
    hidden: _PassedOver = field(default_factory=lambda: _PassedOver("hidden, or a system's own"))
    others: _PassedOver = field(default_factory=lambda: _PassedOver("no images, and no texts beside one"))


@dataclass(frozen=True)
class Pair:
    """An image and the text beside it, or why it has none."""

    image: str
    text: str | None = None
    why: str = "no text of its name lies beside it"


def find_layout(place: Place, findings: Findings) -> Layout:
    """Look at everything that lies there. Raises LayoutError."""
    listing = _listing(place)
    splits = {name for name in listing.tops if name.lower() in SPLIT_NAMES}
    split_folders = bool(splits) and splits == listing.tops
    folders = listing.seconds if split_folders else listing.tops
    texts = listing.beside > 0
    named = {name for name in folders if name.lower() not in _NAMES_NO_CLASS}
    labelled = len(folders) > 1 and bool(named) if texts else bool(named) or len(folders) > 1
    classes = class_names(place, listing.about_classes)
    listing.others.add(*(() if classes else listing.about_classes))
    for over in (listing.hidden, listing.others):
        if over.times:
            findings.leave_out(f"they are {over.what}, such as {shorten(shown(over.first))}", over.times)
    chosen, passed = _manifests(place, listing, must_exist=len(named) > 1 or texts)
    by_folders = not chosen and (labelled or texts)
    if not chosen and not by_folders and not listing.shards:
        chosen = passed
    for name, why in passed.items():
        if name not in chosen:
            findings.leave_out(f"{shown(name)} {why}")
    if listing.shards and (chosen or by_folders):
        findings.leave_out(f"tar shards are not read beside {'manifests' if chosen else 'images'}", len(listing.shards))
    if chosen:
        kind = JSON_LINES if suffix_of(next(iter(chosen))) == LINES_SUFFIX else TABLE
        names = [*chosen]
        why = f"{_some(names)} {'is all there is' if chosen is passed else 'names images'}"
        return Layout(kind=kind, manifests=names, classes=classes, images=listing.images, why=why)
    if by_folders:
        of_splits = " within folders per split" if split_folders else ""
        labels = f"folders {_some(named or folders)}{of_splits}" if labelled else ""
        beside = f"{listing.beside:,} of {listing.images:,} images have a text beside them" if texts else ""
        return Layout(
            kind=CLASSES if labelled else TEXTS,
            split_folders=split_folders,
            labelled=labelled,
            texts=texts,
            classes=classes,
            images=listing.images,
            why=" and ".join(filter(None, (labels, beside))),
        )
    if listing.shards:
        return Layout(kind=SHARDS, manifests=listing.shards, classes=classes, why=_some(listing.shards))
    if folders:
        raise LayoutError(f"the only folder of images is {_some(folders)}, which names no class: {NEEDED}")
    raise LayoutError(NEEDED)


def pairs_of(names: Iterable[str]) -> Iterator[tuple[list[Pair], list[str]]]:
    """Images with the texts beside them, from sorted names, and the texts that belong to none; together those whose
    names are the same up to the first full stop, which in a webdataset are one sample.

    A text belongs to the image with its whole name up to the last full stop, so that 0.05.png and 0.10.png are two. A
    lone image of a sample has the sample's text, as 1.rgb.png has 1.txt.
    """
    for sample, together in groupby(names, sample_of):
        images: list[str] = []
        texts: dict[str, dict[str, str]] = {}
        for name in together:
            suffix = suffix_of(name)
            if suffix in IMAGE_SUFFIXES:
                images.append(name)
            elif suffix in TEXT_SUFFIXES:
                texts.setdefault(name[: -len(suffix)], {})[suffix] = name
        found: dict[str, Pair] = {}
        left = dict(texts)
        for image in images:
            if own := texts.get(image.rpartition(".")[0]):
                left.pop(image.rpartition(".")[0], None)
                found[image] = Pair(image, _preferred(own))
        alone = [image for image in images if image not in found]
        shared = left.get(sample.rstrip(".")) or (next(iter(left.values())) if len(left) == 1 else None)
        if shared and len(alone) == 1:
            found[alone[0]] = Pair(alone[0], _preferred(shared))
            left = {stem: own for stem, own in left.items() if own is not shared}
        elif shared:
            why = f"{len(alone)} images may be meant by {shown(_preferred(shared))}"
            found |= {image: Pair(image, None, why) for image in alone}
        yield (
            [found.get(image, Pair(image)) for image in images],
            [name for own in left.values() for name in own.values()],
        )


def sample_of(name: str) -> str:
    """A file's name with its folder up to the first full stop, and that."""
    folder, slash, file = name.rpartition("/")
    stem, mark, _ = file.partition(".")
    return f"{folder}{slash}{stem}{mark}"


def class_names(place: Place, names: Iterable[str]) -> list[str]:
    """The names of numbered labels, as Hugging Face writes them down beside a dataset; the feature `label` is preferred
    to others.
    """
    for name in names:
        try:
            text = text_of(place.read(name), first=True)
            found = dict(_features(json_of(text)) if name.endswith(".json") else _features_of_card(text))
        except (OSError, ValueError):
            continue
        if chosen := found.get(LABEL_FIELD) or (next(iter(found.values())) if len(found) == 1 else None):
            return chosen
    return []


def _listing(place: Place) -> _Listing:
    found = _Listing()

    def seen() -> Iterator[str]:
        for name in place.names():
            if is_hidden(name):
                found.hidden.add(name)
                continue
            suffix, depth = suffix_of(name), name.count("/")
            if depth <= MAX_MANIFEST_DEPTH and suffix in (LINES_SUFFIX, *TABLE_SUFFIXES):
                found.manifests.append(name)
            elif depth <= MAX_MANIFEST_DEPTH and suffix == SHARD_SUFFIX:
                found.shards.append(name)
            elif name in _CLASS_NAMES:
                found.about_classes.append(name)
            elif suffix in IMAGE_SUFFIXES or suffix in TEXT_SUFFIXES:
                yield name
            else:
                found.others.add(name)

    for pairs, texts in pairs_of(seen()):
        for pair in pairs:
            found.images += 1
            found.beside += pair.text is not None and suffix_of(pair.text) != ".json"
            top, *below = pair.image.split("/")[:-1] or [""]
            found.tops |= {top} - {""}
            found.seconds |= {*below[:1]}
        found.others.add(*texts)
    return found


def _manifests(place: Place, listing: _Listing, *, must_exist: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Those that are read, and those that are passed over with the reason. JSON Lines are preferred to tables."""
    good: dict[str, str] = {}
    passed: dict[str, str] = {}
    for name in listing.manifests[:PROBED_FILES]:
        why = _why_no_manifest(place, name, must_exist=must_exist)
        (passed if why else good)[name] = why or ""
    lines = {name: why for name, why in good.items() if suffix_of(name) == LINES_SUFFIX}
    if lines:
        passed |= {name: "is a table, and JSON Lines are read" for name in good if name not in lines}
    for name in listing.manifests[PROBED_FILES:]:
        passed[name] = f"is more than the {PROBED_FILES} manifests that are looked at"
    return lines or good, passed


def _why_no_manifest(place: Place, name: str, *, must_exist: bool) -> str | None:
    """Why a file is none although its name ends like one; None if it is one.

    A file with the conventional name that can't be read as text at all is one: what it says would be lost otherwise.
    """
    folder, _, file = name.rpartition("/")
    is_conventional = file.lower().startswith(_CONVENTIONAL)
    try:
        rows = list(islice(probed_rows(place, name), PROBED_ROWS))
    except (OSError, ValueError) as error:
        return None if is_conventional else str(error)
    of_images = [row for row in rows if any(key in row for key in IMAGE_FIELDS)]
    if not of_images:
        return f"names no images: one of {', '.join(IMAGE_FIELDS)} is needed"
    if not any(_says(row) for row in of_images):
        return f"says nothing of images: one of {', '.join((*SENTENCE_FIELDS, LABEL_FIELD, LABELS_FIELD))} is needed"
    if must_exist and not is_conventional and not any(_exists(place, folder, row) for row in of_images):
        return f"names images that are not here, in the first {len(of_images)} rows"
    return None


def probed_rows(place: Place, name: str) -> Iterator[Fields]:
    """The good rows of a manifest from its beginning. Raises ValueError for a file that can't be read as text."""
    lines = place.lines(name)
    if suffix_of(name) == LINES_SUFFIX:
        for line in islice(lines, PROBED_ROWS):
            try:
                yield json_object(text_of(line.content, first=line.number == 1))
            except ValueError:
                if line.number == 1 and line.content.startswith(UTF_16):
                    raise
        return
    delimiter, columns, image = table_header(place, name)
    next(lines, None)
    yield dict.fromkeys(columns)
    for row in rows_of(lines, delimiter, columns, image):
        if isinstance(row.cells, list):
            yield dict(zip(columns, row.cells, strict=True))


def table_header(place: Place, name: str) -> tuple[str, list[str], int | None]:
    """What parts the cells of a table, its columns, and which of them names images. Raises ValueError, OSError."""
    first = next(iter(place.lines(name)), None)
    delimiter, columns = header_of(text_of(first.content, first=True) if first else "", KNOWN_FIELDS)
    if twice := next((name for name in KNOWN_FIELDS if columns.count(name) > 1), None):
        raise ValueError(f"has the column {twice} twice: leave one of them")
    image = next((field for field in IMAGE_FIELDS if field in columns), None)
    return delimiter, columns, None if image is None else columns.index(image)


def _says(row: Fields) -> bool:
    return any(key in (*SENTENCE_FIELDS, LABEL_FIELD, LABELS_FIELD) or key.endswith(JOB_SUFFIX) for key in row)


def _exists(place: Place, folder: str, row: Fields) -> bool:
    key = next(key for key in IMAGE_FIELDS if key in row)
    try:
        return row[key] is not None and place.exists(image_name(place, folder, key, row[key]))
    except ValueError:
        return False


def _features(value: Any) -> Iterator[tuple[str, list[str]]]:
    """Every feature with `names`, however deep."""
    if not isinstance(value, dict):
        return
    for key, member in value.items():
        names = member.get("names") if isinstance(member, dict) else None
        if isinstance(names, list) and all(isinstance(each, str) and shown(each) == each for each in names):
            yield key, names
        else:
            yield from _features(member)


def _features_of_card(text: str) -> Iterator[tuple[str, list[str]]]:
    """Of the YAML block of a dataset card: `- name: label`, `class_label:`, `names:`, `'0': cat`."""
    head = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    feature, names = LABEL_FIELD, dict[int, str]()
    reading = False
    for line in head.group(1).splitlines() if head else ():
        entry = re.fullmatch(r"\s*['\"]?(\d{1,6})['\"]?:\s*(.+?)\s*", line)
        if reading and entry:
            names[int(entry.group(1))] = entry.group(2).strip("'\"")
            continue
        if names:
            yield feature, [names.get(place, str(place)) for place in range(min(max(names), 100_000) + 1)]
            names = {}
        if named := re.fullmatch(r"\s*-\s+name:\s*(.+?)\s*", line):
            feature = named.group(1).strip("'\"")
        reading = line.strip() == "names:"
    if names:
        yield feature, [names.get(place, str(place)) for place in range(min(max(names), 100_000) + 1)]


def _preferred(own: dict[str, str]) -> str:
    return next(own[suffix] for suffix in TEXT_SUFFIXES if suffix in own)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(map(shown, ordered[:NAMED])) + (" and others" if len(ordered) > NAMED else "")
