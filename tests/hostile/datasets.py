"""Folders of images with what is said of them, in every layout and with every trick: what must be read, and what must
be told because it can't be.
"""

import csv
import io
import json
import struct
import tarfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

Files = dict[str, bytes]
"""By their names below the folder."""


@dataclass(frozen=True)
class Row:
    """What is said of an image, given by its number."""

    number: int
    label: str | None
    sentences: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        return f"{self.number}.png"


@dataclass(frozen=True)
class Case:
    """A folder; `rows` must all be read. Those of the images `bad` must be told to be left out, those of `maybe` are
    read or told. Nothing else is read.
    """

    files: Files
    rows: tuple[Row, ...]
    bad: frozenset[int] = frozenset()
    maybe: frozenset[int] = frozenset()
    training_alone: bool = False


def image(number: int) -> bytes:
    """A PNG of one pixel, another one for each number."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" + number.to_bytes(3, "big"))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


LABELS = ("circle", "square")
ROWS = tuple(Row(n, None, (f"a drawing with the number {n}", f"number {n}")) for n in range(4))
LABELLED = tuple(Row(n, LABELS[n % 2]) for n in range(4))
BOTH = tuple(Row(n, LABELS[n % 2], (f"a drawing with the number {n}",)) for n in range(4))


def images(rows: Sequence[Row], folder: str = "") -> Files:
    """The images of the rows."""
    return {f"{folder}{row.image}": image(row.number) for row in rows}


def lines(rows: Sequence[Row], name: Callable[[Row], str] = lambda row: row.image) -> bytes:
    """metadata.jsonl"""
    return b"".join(json.dumps(_said(row, name(row)), ensure_ascii=False).encode() + b"\n" for row in rows)


def _said(row: Row, name: str) -> dict[str, object]:
    said: dict[str, object] = {"file_name": name}
    if row.sentences:
        said["text"] = list(row.sentences)
    return {**said, **({"label": row.label} if row.label else {})}


def table(rows: Sequence[Row], name: Callable[[Row], str] = lambda row: row.image, between: str = ",") -> bytes:
    """metadata.csv"""
    writer = csv.writer(file := io.StringIO(), delimiter=between, lineterminator="\n")
    columns = [*(["text"] if rows[0].sentences else []), *(["label"] if rows[0].label else [])]
    writer.writerow(["file_name", *columns])
    for row in rows:
        writer.writerow([name(row), *row.sentences[:1], *([row.label] if row.label else [])])
    return file.getvalue().encode()


def json_lines() -> Case:
    return Case({**images(ROWS), "metadata.jsonl": lines(ROWS)}, ROWS)


def json_lines_of_labels() -> Case:
    return Case({**images(LABELLED), "metadata.jsonl": lines(LABELLED)}, LABELLED)


def commas() -> Case:
    return Case({**images(BOTH, "images/"), "metadata.csv": table(BOTH, lambda row: f"images/{row.image}")}, BOTH)


def tabs() -> Case:
    rows = tuple(replace(row, label=None) for row in BOTH)
    return Case({**images(rows), "metadata.tsv": table(rows, between="\t")}, rows)


def folders() -> Case:
    return Case({f"{row.label}/{row.image}": image(row.number) for row in LABELLED}, LABELLED)


def texts() -> Case:
    rows = tuple(replace(row, label=None) for row in BOTH)
    beside = {f"{row.number}.txt": row.sentences[0].encode() for row in rows}
    return Case({**images(rows), **beside}, rows)


def shards() -> Case:
    rows = tuple(replace(row, label=None) for row in BOTH)
    members = {name: content for row in rows for name, content in _sample(str(row.number), row).items()}
    return Case({"000.tar": tar(members)}, rows, training_alone=True)


def _sample(stem: str, row: Row) -> Files:
    return {f"{stem}.png": image(row.number), f"{stem}.txt": row.sentences[0].encode()}


def tar(members: Mapping[str, bytes]) -> bytes:
    """A tar of these files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


LAYOUTS: Mapping[str, Callable[[], Case]] = {
    "JSON Lines": json_lines,
    "JSON Lines of labels": json_lines_of_labels,
    "a table": commas,
    "a table with tabs": tabs,
    "folders": folders,
    "texts": texts,
    "shards": shards,
}

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "


def whatever_lies_beside() -> Iterator[tuple[str, Case]]:
    """Files that are none of the dataset's, beside every layout, and a folder around it: nothing changes by them."""
    strays: Mapping[str, Files] = {
        "nothing": {},
        "what notebooks and repositories keep": {
            ".ipynb_checkpoints/0-checkpoint.png": image(100), ".ipynb_checkpoints/a.jsonl": b"{}",
            ".git/HEAD": b"ref: x", ".gitattributes": b"*.png", ".git/objects/0.png": image(102),
        },
        "what systems leave": {
            "__MACOSX/._0.png": APPLE_DOUBLE, "__MACOSX/circle/._0.png": APPLE_DOUBLE, "._0.png": APPLE_DOUBLE,
            "._metadata.jsonl": APPLE_DOUBLE, "._metadata.csv": APPLE_DOUBLE, ".DS_Store": bytes(50),
            "Thumbs.db": bytes(50), "desktop.ini": b"[x]", "@eaDir/0.png/SYNOPHOTO_THUMB_M.png": image(101),
        },
        "notes and a table of something else": {
            "README.md": b"# Pictures\n", "LICENSE": b"MIT", "notes.csv": b"date,who\n2026-01-01,me\n",
        },
        "lines of something else": {"log.jsonl": b'{"time": 1, "message": "x"}\n'},
        "empty manifests": {"empty.csv": b"", "empty.jsonl": b"\n"},
    }  # fmt: skip
    for layout, make in LAYOUTS.items():
        for name, files in strays.items():
            case = make()
            yield f"{layout}, and {name} beside it", replace(case, files={**case.files, **files})
    for layout in ("folders", "JSON Lines", "a table", "texts"):
        case = LAYOUTS[layout]()
        within = {f"train/{name}": content for name, content in case.files.items()}
        yield f"{layout} in a folder for a split", replace(case, files=within)


def manners_of_writing() -> Iterator[tuple[str, Case]]:
    """One manifest in every manner that editors, tables and languages have of writing it."""
    for kind, write, rows in (("jsonl", lines, ROWS), ("csv", table, BOTH), ("tsv", _with_tabs, BOTH)):
        plain = write(rows)
        for name, content in (
            ("a BOM", b"\xef\xbb\xbf" + plain),
            ("CR LF", plain.replace(b"\n", b"\r\n")),
            ("a BOM and CR LF", b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")),
            ("no last line end", plain.rstrip(b"\n")),
            ("blank lines", plain.replace(b"\n", b"\n\n")),
            ("paths from here", write(rows, lambda row: f"./{row.image}")),
            ("paths of Windows", write(rows, lambda row: f".\\{row.image}")),
        ):
            yield f"{kind} with {name}", Case({**images(rows), f"metadata.{kind}": content}, tuple(rows))
        below = write(rows, lambda row: f"images\\{row.image}")
        yield (
            f"{kind} with folders of Windows",
            Case({**images(rows, "images/"), f"metadata.{kind}": below}, tuple(rows)),
        )
        missing = write([*rows, replace(rows[0], number=50)])
        yield (
            f"{kind} with an image that is not there",
            Case({**images(rows), f"metadata.{kind}": missing}, tuple(rows), bad=frozenset({50})),
        )
        signs = tuple(
            replace(row, sentences=(f"before{sign}after {row.number}",))
            for row, sign in zip([*rows, *rows], "\u2028\u2029\x85\x0c\u00a0", strict=False)
        )
        for number, said in enumerate((signs[:4], signs[4:])):
            yield (
                f"{kind} with other line ends in its sentences, {number}",
                Case({**images(said), f"metadata.{kind}": write(said)}, said),
            )
        marks = ("one, two, three", 'a word "in quotes"', "a; b", "it's 5' wide")
        said = tuple(replace(row, sentences=(mark,)) for row, mark in zip(rows, marks, strict=True))
        yield f"{kind} with marks in its sentences", Case({**images(said), f"metadata.{kind}": write(said)}, said)
        for name, label in (
            ("capitals", "Circle"),
            ("an accent", "caf\u00e9"),
            ("a parted accent", "cafe\u0301"),
            ("None", "None"),
        ):
            said = tuple(replace(row, label=label if row.number % 2 else "square") for row in rows)
            yield f"{kind} with a label with {name}", Case({**images(said), f"metadata.{kind}": write(said)}, said)


def _with_tabs(rows: Sequence[Row], name: Callable[[Row], str] = lambda row: row.image) -> bytes:
    return table(rows, name, "\t")


def lines_with_a_fault() -> Iterator[tuple[str, Case]]:
    """One line that can't be read does not lose the others, and is told."""
    good = lines(ROWS[:3]).splitlines(keepends=True)
    for name, line in (
        ("half an object", b'{"file_name": "3.png", "text": '), ("a list", b'["3.png"]'), ("a number", b"5"),
        ("Latin-1", b'{"file_name": "3.png", "text": "caf\xe9"}'),
        ("a blank sentence", b'{"file_name": "3.png", "text": " "}'),
        ("an empty sentence", b'{"file_name": "3.png", "text": ""}'),
        ("no sentence", b'{"file_name": "3.png", "text": []}'),
        ("a lone surrogate", b'{"file_name": "3.png", "text": "\\ud800"}'),
        ("a number for a sentence", b'{"file_name": "3.png", "text": 5}'),
        ("nothing said", b'{"file_name": "3.png"}'), ("no image", b'{"text": "a drawing"}'),
        ("a number for an image", b'{"file_name": 5, "text": "a"}'),
        ("a way out", b'{"file_name": "../../etc/passwd", "text": "a"}'),
        ("a path from the root", b'{"file_name": "/etc/passwd", "text": "a"}'),
        ("a NUL", b'{"file_name": "3.png\\u0000", "text": "a"}'), ("lists without end", b"[" * 50_000),
        ("an unknown split", b'{"file_name": "3.png", "text": "a", "split": "holdout"}'),
        ("a list for a label", b'{"file_name": "3.png", "label": ["a"]}'),
    ):  # fmt: skip
        for place in (1,):
            content = b"".join([*good[:place], line + b"\n", *good[place:]])
            yield (
                f"jsonl whose line {place + 1} is {name}",
                Case({**images(ROWS), "metadata.jsonl": content}, ROWS[:3], bad=frozenset({3})),
            )
    for name, row in (
        ("an open quote", b'3.png,"12 inch pipe\n'), ("a quote within", b'3.png,12" pipe\n'),
        ("too many cells", b"3.png,a,b,c\n"),
        ("too few cells", b"3.png\n"), ("an empty sentence", b"3.png,\n"), ("Latin-1", b"3.png,caf\xe9\n"),
        ("a NUL", b"3.png,a\0b\n"),
    ):  # fmt: skip
        rows = tuple(replace(each, label=None) for each in BOTH[:3])
        head, *others = table(rows).splitlines(keepends=True)
        for place in (1,):
            content = head + b"".join([*others[:place], row, *others[place:]])
            yield (
                f"csv whose row {place + 1} has {name}",
                Case({**images(ROWS), "metadata.csv": content}, rows, maybe=frozenset({3})),
            )
    numbered = tuple(replace(row, label=str(row.number % 2)) for row in LABELLED)
    whole = b"".join(json.dumps({"file_name": row.image, "label": row.number % 2}).encode() + b"\n" for row in numbered)
    yield "jsonl with numbers for labels", Case({**images(numbered), "metadata.jsonl": whole}, numbered)
    yield "csv with semicolons", Case({**images(BOTH), "metadata.csv": table(BOTH, between=";")}, BOTH)
    yield "jsonl with UTF-16", Case({**images(ROWS), "metadata.jsonl": lines(ROWS).decode().encode("utf-16")}, ())
    yield "jsonl that says everything twice", Case({**images(ROWS), "metadata.jsonl": lines(ROWS) * 2}, ROWS)
    yield "csv of a header alone", Case({**images(ROWS), "metadata.csv": b"file_name,text\n"}, ())


def names_of_folders() -> Iterator[tuple[str, Case]]:
    """Folders per class whose names are of other systems and languages."""
    for name, first, second in (
        ("blanks", "big dog", "small cat"), ("capitals", "Circle", "SQUARE"), ("a comma", "a, b", "c"),
        ("composed", "caf\u00e9", "tea"),
        ("parted", unicodedata.normalize("NFD", "caf\u00e9"), "tea"), ("other signs", "\u732b", "\u72ac"),
        ("numbers", "0", "1"), ("dots", "v1.0", "v2.0"),
        ("percents", "100%25", "%41"), ("plus", "a+b", "c d"),
    ):  # fmt: skip
        rows = tuple(replace(row, label=(first, second)[row.number % 2]) for row in LABELLED)
        yield f"folders with {name}", Case({f"{row.label}/{row.image}": image(row.number) for row in rows}, rows)
    deep = {f"{row.label}/2026/{row.image}": image(row.number) for row in LABELLED}
    yield "folders in folders of classes", Case(deep, LABELLED)
    upper = {f"{row.label}/{row.number}.PNG": image(row.number) for row in LABELLED}
    yield "folders with suffixes in capitals", Case(upper, LABELLED)
    dotted = {f"{row.label}/{row.number}.5.crop.png": image(row.number) for row in LABELLED}
    yield "folders with dots in the names", Case(dotted, LABELLED)
    yield "folders with a text in them", Case({**folders().files, "circle/notes.md": b"-"}, LABELLED)
    yield "nothing", Case({}, ())
    yield "notes alone", Case({"README.md": b"# nothing"}, ())
    yield "images alone", Case(images(ROWS), ())
    rows = tuple(replace(row, label=None) for row in BOTH)
    beside = {f"{row.number}.txt": b"\xef\xbb\xbf" + row.sentences[0].encode() + b"\r\n" for row in rows}
    yield "texts with a BOM and CR LF", Case({**images(rows), **beside}, rows)
    without = {name: content for name, content in texts().files.items() if name != "3.txt"}
    yield "texts, one of them missing", Case(without, rows[:3], bad=frozenset({3}))
    latin = {**texts().files, "3.txt": b"caf\xe9"}
    yield "texts, one of them in Latin-1", Case(latin, rows[:3], bad=frozenset({3}))
    points = {name: content for row in rows for name, content in _sample(f"0.{row.number}5", row).items()}
    yield "texts beside images with dots in the names", Case(points, rows)
    yield "a shard with dots in the names", Case({"000.tar": tar(points)}, rows, training_alone=True)
    yield (
        "a shard in folders",
        Case({"000.tar": tar({f"a/b/{name}": content for name, content in points.items()})}, rows, training_alone=True),
    )
    doubled = {**{f"._{name}": APPLE_DOUBLE for name in points}, **points}
    yield "a shard with a Mac's doubles", Case({"000.tar": tar(doubled)}, rows, training_alone=True)


FAMILIES = (whatever_lies_beside, manners_of_writing, lines_with_a_fault, names_of_folders)
DATASETS: Mapping[str, Case] = {name: case for family in FAMILIES for name, case in family()}
