"""The rows of a dataset in their order, from any place on: what each says of its image, or why it can't be taken."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contract.annotations import SPLIT_NAMES, Split
from contract.layouts.find import (
    LINES_SUFFIX,
    TABLE_SUFFIXES,
    Pair,
    find_layout,
    pairs_of,
    sample_of,
    table_header,
)
from contract.layouts.found import Cursor, Findings, Layout
from contract.layouts.places import (
    IMAGE_SUFFIXES,
    MAX_TEXT_FILE_BYTES,
    SHARD_SUFFIX,
    Place,
    is_hidden,
    shown,
    suffix_of,
)
from contract.layouts.said import (
    IMAGE_FIELDS,
    LABEL_FIELD,
    LABELS_FIELD,
    OPTIONAL_FIELDS,
    SENTENCE_FIELDS,
    Fields,
    Said,
    beside_an_image,
    json_object,
    said_in_row,
    said_of,
    split_of_folder,
)
from contract.layouts.tables import NO_UTF_16, UTF_16, rows_of, text_of
from contract.problems import shorten


@dataclass(frozen=True)
class Row:
    """Which line or file says something, what it says or why that can't be taken, and where the next one is."""

    place: str
    said: Said | str
    behind: Cursor


@dataclass(frozen=True)
class Reading:
    """A whole dataset."""

    layout: Layout
    rows: list[Row]
    findings: Findings


def read_all(place: Place) -> Reading:
    """Find the layout and read it to its end, and count the images that nothing is said of. Raises LayoutError."""
    findings = Findings()
    layout = find_layout(place, findings)
    rows = list(rows_from(place, layout, findings))
    if layout.manifests and all(suffix_of(name) in (LINES_SUFFIX, *TABLE_SUFFIXES) for name in layout.manifests):
        named = {row.said.image for row in rows if isinstance(row.said, Said)}
        images = (name for name in place.names() if suffix_of(name) in IMAGE_SUFFIXES and not is_hidden(name))
        if unnamed := [name for name in images if name not in named]:
            first = shorten(shown(unnamed[0]))
            findings.leave_out(f"they are images that no good row names, such as {first}", len(unnamed))
    return Reading(layout, rows, findings)


def rows_from(place: Place, layout: Layout, findings: Findings, start: Cursor | None = None) -> Iterator[Row]:
    """The rows behind a cursor. A row that can't be taken never ends the reading, nor does a file."""
    start = start or Cursor()
    if not layout.manifests:
        yield from _images(place, layout, findings, start.key)
    for number, name in enumerate(layout.manifests):
        if number < start.manifest:
            continue
        here = start if number == start.manifest else Cursor(manifest=number)
        suffix = suffix_of(name)
        read = _table if suffix in TABLE_SUFFIXES else _shard if suffix == SHARD_SUFFIX else _lines
        try:
            yield from read(place, name, layout, findings, here)
        except OSError as error:
            end = Cursor(manifest=number + 1)
            yield Row(shown(name), f"can't be read: {error.strerror or error}", end)


def _lines(place: Place, name: str, layout: Layout, findings: Findings, start: Cursor) -> Iterator[Row]:
    if not start.offset_bytes and (fault := _no_text(place, name)):
        yield Row(shown(name), fault, Cursor(manifest=start.manifest + 1))
        return
    for line in place.lines(name, start.line, start.offset_bytes):
        behind = Cursor(manifest=start.manifest, line=line.number, offset_bytes=line.end_bytes)
        try:
            fields = json_object(text_of(line.content, first=line.number == 1))
            said: Said | str = _said(place, name, fields, layout, findings)
        except ValueError as error:
            said = str(error)
        yield Row(f"{shown(name)} line {line.number}", said, behind)


def _table(place: Place, name: str, layout: Layout, findings: Findings, start: Cursor) -> Iterator[Row]:
    """Every cell is text: None and NA are words. An empty cell says nothing."""
    try:
        delimiter, columns, image = table_header(place, name)
        said_in = {*columns} & {*SENTENCE_FIELDS, LABEL_FIELD, LABELS_FIELD}
        if image is None or not said_in:
            raise ValueError(
                f"has the columns {shorten(', '.join(columns), 200) or 'of nothing'}: one of {', '.join(IMAGE_FIELDS)} "
                f"and one of {', '.join((*SENTENCE_FIELDS, LABEL_FIELD))} are needed"
            )
    except ValueError as error:
        yield Row(shown(name), str(error), Cursor(manifest=start.manifest + 1))
        return
    lines = place.lines(name, start.line, start.offset_bytes)
    if not start.offset_bytes:
        next(iter(lines), None)
    for row in rows_of(lines, delimiter, columns, image):
        behind = Cursor(manifest=start.manifest, line=row.last_line, offset_bytes=row.end_bytes)
        said: Said | str
        if isinstance(row.cells, str):
            said = row.cells
        else:
            cells = dict(zip(columns, row.cells, strict=True))
            fields = {key: value for key, value in cells.items() if value or key not in OPTIONAL_FIELDS}
            try:
                said = _said(place, name, fields, layout, findings)
            except ValueError as error:
                said = str(error)
        yield Row(f"{shown(name)} line {row.line}", said, behind)


def _shard(place: Place, name: str, layout: Layout, findings: Findings, start: Cursor) -> Iterator[Row]:
    within = place.shard(name)
    inside = Layout(labelled=False, texts=True, classes=layout.classes)
    names = (each for each in within.names() if not is_hidden(each))
    for pairs, texts in pairs_of(names):
        for pair in pairs:
            said = _said_beside(within, pair, inside, findings, [], split_of_folder(name.rpartition("/")[0]))
            if isinstance(said, Said):
                said = replace(said, image=f"{name}/{said.image}")
            yield Row(f"{shown(name)} sample {shown(pair.image)}", said, start)
        if texts and not pairs:
            findings.leave_out("they are texts in a shard without an image beside them", len(texts))


def _images(place: Place, layout: Layout, findings: Findings, after: str) -> Iterator[Row]:
    """Images in folders. A sample that was begun is read again from its first file, for its texts may lie before."""
    names = (name for name in place.names(sample_of(after) if after else "") if not is_hidden(name))
    for pairs, _ in pairs_of(names):
        for pair in pairs:
            if pair.image <= after:
                continue
            folders = pair.image.split("/")[:-1]
            split = SPLIT_NAMES.get(folders.pop(0).lower()) if layout.split_folders and folders else None
            said = _said_beside(place, pair, layout, findings, folders, split)
            yield Row(shown(pair.image), said, Cursor(key=pair.image))


def _said(place: Place, name: str, fields: Fields, layout: Layout, findings: Findings) -> Said:
    folder = name.rpartition("/")[0]
    return said_in_row(fields, place, folder, split_of_folder(folder), layout.classes, findings)


def _said_beside(
    place: Place, pair: Pair, layout: Layout, findings: Findings, folders: list[str], split: Split | None
) -> Said | str:
    """What an image's folder and the text beside it say."""
    label = folders[0] if layout.labelled and folders else None
    try:
        if shown(pair.image) != pair.image:
            raise ValueError("has a name that is not UTF-8 text: rename it")
        fields = _beside(place, pair.text, findings, is_labelled=bool(label)) if layout.texts and pair.text else {}
        if label is not None:
            fields[LABEL_FIELD] = label
        elif not fields and not layout.texts:
            raise ValueError("lies in no folder that is named after a label")
        elif not fields:
            raise ValueError(f"{pair.why}: {pair.image.rpartition('.')[0]}.txt is needed")
        return said_of(fields, pair.image, split, None if label is not None else layout.classes, findings)
    except OSError as error:
        return f"{shown(pair.text or pair.image)} can't be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)


def _beside(place: Place, name: str, findings: Findings, *, is_labelled: bool) -> Fields:
    """The fields that the text beside an image says; of one with a label, a text that is no sentence is passed over."""
    content = place.read(name)
    try:
        if len(content) > MAX_TEXT_FILE_BYTES:
            raise ValueError(f"has more than {MAX_TEXT_FILE_BYTES:,} bytes")
        return beside_an_image(name, text_of(content, first=True, is_line=False))
    except ValueError as error:
        if is_labelled:
            findings.note("texts beside images are passed over, for each of them " + str(error).partition(", got")[0])
            return {}
        raise ValueError(f"{shown(name)} {error}") from None


def _no_text(place: Place, name: str) -> str | None:
    """Why nothing of a file can be read; None if its lines can be looked at."""
    first = next(iter(place.lines(name)), None)
    return NO_UTF_16 if first is not None and first.content.startswith(UTF_16) else None
