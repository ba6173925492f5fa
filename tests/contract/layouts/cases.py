"""Folders as people have them, and what must be read of each, in whatever way it comes in."""

import json
import unicodedata
from dataclasses import dataclass, field

JPEG_START = b"\xff\xd8\xff"

Labels = dict[str, str] | str | None
"""By task, or of the task without a name."""


@dataclass(frozen=True)
class Case:
    """Files by name, of which images need no content; images with their sentences, labels and split; and the places of
    what can't be taken. `left_out` is how many files are not read, `unnamed` how many images no good row names.
    """

    files: dict[str, bytes | str]
    records: dict[str, tuple[tuple[str, ...], Labels, str | None]]
    problems: tuple[str, ...] = ()
    left_out: int = 0
    unnamed: int = 0
    absent: tuple[str, ...] = field(default=())
    """Images that a row names and nobody has."""

    def content(self, name: str) -> bytes:
        """The bytes of a file; those of an image are a function of its name."""
        given = self.files[name]
        return given.encode() if isinstance(given, str) else given


def image(name: str) -> bytes:
    return JPEG_START + name.encode()


def images(*names: str) -> dict[str, bytes | str]:
    return {name: image(name) for name in names}


def lines(*rows: object) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def said(text: str, split: str | None = None) -> tuple[tuple[str, ...], Labels, str | None]:
    return (text,), None, split


def labelled(label: str, split: str | None = None) -> tuple[tuple[str, ...], Labels, str | None]:
    return (), label, split


ONE, TWO = {"file_name": "1.jpg", "text": "one"}, {"file_name": "2.jpg", "text": "two"}
BOTH = {"1.jpg": said("one"), "2.jpg": said("two")}
IMAGES = images("1.jpg", "2.jpg")
CAFE = "café"
DECOMPOSED = unicodedata.normalize("NFD", CAFE)
DEEP = "[" * 100_000

CASES = {
    "JSON lines": Case({**IMAGES, "metadata.jsonl": lines(ONE, TWO)}, BOTH),
    "a byte order mark": Case({**IMAGES, "metadata.jsonl": "\ufeff" + lines(ONE, TWO)}, BOTH),
    "a table with a byte order mark": Case(
        {**IMAGES, "metadata.csv": "\ufefffile_name,text\n1.jpg,one\n2.jpg,two"}, BOTH
    ),
    "lines that end as on Windows": Case({**IMAGES, "metadata.jsonl": lines(ONE, TWO).replace("\n", "\r\n")}, BOTH),
    "a table that ends lines as on Windows": Case(
        {**IMAGES, "metadata.csv": "file_name,text\r\n1.jpg,one\r\n2.jpg,two\r\n"}, BOTH
    ),
    "other line ends within JSON": Case(
        {**IMAGES, "metadata.jsonl": lines({**ONE, "text": "a\u2028b\u2029c\u0085d"}, TWO)},
        {"1.jpg": said("a b c d"), "2.jpg": said("two")},
    ),
    "separators of Windows": Case(
        {**images("img/1.jpg", "img/2.jpg"), "metadata.csv": "file_name,text\nimg\\1.jpg,one\n.\\img\\2.jpg,two\n"},
        {"img/1.jpg": said("one"), "img/2.jpg": said("two")},
    ),
    "ImageFolder with a table": Case(
        {
            **images("images/1.jpg", "images/2.jpg"),
            "metadata.csv": 'file_name,text\nimages/1.jpg,"a, b"\nimages/2.jpg,None\n',
        },
        {"images/1.jpg": said("a, b"), "images/2.jpg": said("None")},
    ),
    "labels.csv": Case(
        {**images("img/1.jpg", "img/2.jpg"), "labels.csv": "Filename,Label\nimg/1.jpg,cat\nimg/2.jpg,dog\n"},
        {"img/1.jpg": labelled("cat"), "img/2.jpg": labelled("dog")},
    ),
    "semicolons": Case({**IMAGES, "data.csv": "file_name;text\n1.jpg;one\n2.jpg;two\n"}, BOTH),
    "tabs": Case({**IMAGES, "data.tsv": "filepath\ttitle\n1.jpg\tone\n2.jpg\ttwo\n"}, BOTH),
    "line ends within a cell": Case(
        {**IMAGES, "data.csv": 'file_name,text\n1.jpg,"one\n\nmore"\n2.jpg,"tw""o"\n'},
        {"1.jpg": said("one more"), "2.jpg": said('tw"o')},
    ),
    "a quote that opens and never closes": Case(
        {**IMAGES, "3.jpg": image("3.jpg"), "data.csv": 'file_name,text\n1.jpg,one\n3.jpg,"12 inch\n2.jpg,two\n'},
        BOTH,
        ("data.csv line 3",),
        unnamed=1,
    ),
    "a quote that closes rows later": Case(
        {
            **IMAGES,
            "3.jpg": image("3.jpg"),
            "data.csv": 'file_name,text\n3.jpg,"12 inch\n1.jpg,one\n2.jpg,two\n3.jpg,5"\n',
        },
        {**BOTH, "3.jpg": said('5"')},
        ("data.csv line 2",),
    ),
    "rows with other numbers of cells": Case(
        {**IMAGES, "data.csv": "file_name,text\n1.jpg\n1.jpg,one\n2.jpg,two, too\n2.jpg,two\n,\n"},
        BOTH,
        ("data.csv line 2", "data.csv line 4"),
    ),
    "a cell too large": Case(
        {**IMAGES, "data.csv": f"file_name,text\n1.jpg,{'x' * 200_000}\n1.jpg,one\n2.jpg,two\n"},
        BOTH,
        ("data.csv line 2",),
    ),
    "an empty caption": Case(
        {**IMAGES, "data.csv": "file_name,text\n1.jpg,one\n2.jpg,\n2.jpg,two\n1.jpg, \n"},
        BOTH,
        ("data.csv line 3", "data.csv line 5"),
    ),
    "an empty caption beside a label": Case(
        {**IMAGES, "data.csv": "file_name,text,label\n1.jpg,,cat\n2.jpg,two,\n"},
        {"1.jpg": labelled("cat"), "2.jpg": said("two")},
    ),
    "bad lines among good ones": Case(
        {
            **IMAGES,
            "metadata.jsonl": lines(
                "{no json",
                DEEP,
                [1],
                {"file_name": "1.jpg"},
                {"file_name": "1.jpg", "text": 3},
                '{"file_name": "1.jpg", "text": "half \\ud83d"}',
                {"file_name": "/etc/passwd", "text": "x"},
                {"file_name": "../1.jpg", "text": "x"},
                {"file_name": "C:\\1.jpg", "text": "x"},
                {"file_name": "https://a.b/1.jpg", "text": "x"},
                {"file_name": "1.jpg", "label": ["a", "b"]},
                {"file_name": "1.jpg", "text": "x", "split": "holdout"},
                {"text": "of nothing"},
                ONE,
                TWO,
            ),
        },
        BOTH,
        tuple(f"metadata.jsonl line {number}" for number in range(1, 14)),
    ),
    "Latin-1 in one line": Case(
        {**IMAGES, "metadata.jsonl": b'{"file_name": "1.jpg", "text": "caf\xe9"}\n' + lines(ONE, TWO).encode()},
        BOTH,
        ("metadata.jsonl line 1",),
    ),
    "a missing image": Case(
        {**IMAGES, "metadata.jsonl": lines(ONE, {"file_name": "gone.jpg", "text": "x"}, TWO)},
        BOTH,
        absent=("metadata.jsonl line 2",),
    ),
    "names in other normal forms": Case(
        {**images(f"{DECOMPOSED}/1.jpg", "2.jpg"), "metadata.jsonl": lines({**ONE, "file_name": f"{CAFE}/1.jpg"}, TWO)},
        {f"{DECOMPOSED}/1.jpg": said("one"), "2.jpg": said("two")},
    ),
    "folders in other normal forms": Case(
        images(f"{DECOMPOSED}/1.jpg", f"{CAFE}/2.jpg", "bar/3.jpg"),
        {f"{DECOMPOSED}/1.jpg": labelled(CAFE), f"{CAFE}/2.jpg": labelled(CAFE), "bar/3.jpg": labelled("bar")},
    ),
    "labels in other cases": Case(
        images("Cat/1.jpg", "cat/2.jpg", "dog/3.jpg"),
        {"Cat/1.jpg": labelled("Cat"), "cat/2.jpg": labelled("Cat"), "dog/3.jpg": labelled("dog")},
    ),
    "labels of lines in other cases": Case(
        {**IMAGES, "l.jsonl": lines({"image": "1.jpg", "label": "cat"}, {"image": "2.jpg", "label": " CAT"})},
        {"1.jpg": labelled("cat"), "2.jpg": labelled("cat")},
    ),
    "numbers as labels": Case(
        {**IMAGES, "metadata.jsonl": lines({"file_name": "1.jpg", "label": 0}, {"file_name": "2.jpg", "label": 1.0})},
        {"1.jpg": labelled("0"), "2.jpg": labelled("1")},
    ),
    "numbers that are named": Case(
        {
            **IMAGES,
            "metadata.csv": "file_name,label\n1.jpg,0\n2.jpg,1\n",
            "dataset_infos.json": json.dumps({"default": {"features": {"label": {"names": ["cat", "dog"]}}}}),
        },
        {"1.jpg": labelled("cat"), "2.jpg": labelled("dog")},
    ),
    "numbers that the card names": Case(
        {
            **IMAGES,
            "metadata.jsonl": lines({"file_name": "1.jpg", "label": 0}, {"file_name": "2.jpg", "label": 1}),
            "README.md": "---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n"
            "    dtype:\n      class_label:\n        names:\n          '0': cat\n          '1': dog\n"
            "  splits: []\n---\n# Pets\n",
        },
        {"1.jpg": labelled("cat"), "2.jpg": labelled("dog")},
    ),
    "labels by task": Case(
        {**IMAGES, "metadata.jsonl": lines({**ONE, "labels": {"size": "big", "colour": "red"}, "split": "val"}, TWO)},
        {"1.jpg": (("one",), {"size": "big", "colour": "red"}, "validation"), "2.jpg": said("two")},
    ),
    "a label with its task": Case(
        {**IMAGES, "metadata.csv": "file_name,label,task\n1.jpg,big,size\n2.jpg,cat,\n"},
        {"1.jpg": ((), {"size": "big"}, None), "2.jpg": labelled("cat")},
    ),
    "more captions than a record has": Case(
        {**IMAGES, "metadata.jsonl": lines({**ONE, "text": [f"sentence {n}" for n in range(70)]}, TWO)},
        {"1.jpg": (tuple(f"sentence {n}" for n in range(70)), None, None), "2.jpg": said("two")},
    ),
    "a very long caption": Case(
        {**IMAGES, "metadata.jsonl": lines({**ONE, "text": "x" * 5000}, TWO)},
        {"1.jpg": said("x" * 1000), "2.jpg": said("two")},
    ),
    "a folder per class with what systems leave": Case(
        {
            **images("cat/1.jpg", "dog/2.jpg", ".ipynb_checkpoints/3.jpg", "cat/.ipynb_checkpoints/1-checkpoint.jpg"),
            **images("__MACOSX/cat/._1.jpg", "cat/._1.jpg", "dog/@eaDir/2.jpg/thumb.jpg"),
            **dict.fromkeys((".DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "cat/notes.txt", "LICENSE"), b"-"),
        },
        {"cat/1.jpg": labelled("cat"), "dog/2.jpg": labelled("dog")},
        left_out=10,
    ),
    "a stray table beside folders": Case(
        {**images("cat/1.jpg", "dog/2.jpg"), "notes.csv": "date,who\n2024,me\n", "log.jsonl": '{"epoch": 1}\n'},
        {"cat/1.jpg": labelled("cat"), "dog/2.jpg": labelled("dog")},
        left_out=2,
    ),
    "a table about other images beside folders": Case(
        {**images("cat/1.jpg", "dog/2.jpg"), "results.csv": "image,label\nelsewhere/9.jpg,owl\n"},
        {"cat/1.jpg": labelled("cat"), "dog/2.jpg": labelled("dog")},
        left_out=1,
    ),
    "a table in folders that are no classes": Case(
        {**images("a/1.jpg", "b/2.jpg"), "captions.csv": "image,caption\na/1.jpg,one\nb/2.jpg,two\n"},
        {"a/1.jpg": said("one"), "b/2.jpg": said("two")},
    ),
    "an image outside of the classes": Case(
        images("cat/1.jpg", "dog/2.jpg", "cover.jpg"),
        {"cat/1.jpg": labelled("cat"), "dog/2.jpg": labelled("dog")},
        ("cover.jpg",),
    ),
    "classes within splits": Case(
        images("train/cat/1.jpg", "val/dog/2.jpg", "Test/cat/deep/3.JPG"),
        {
            "train/cat/1.jpg": labelled("cat", "train"),
            "val/dog/2.jpg": labelled("dog", "validation"),
            "Test/cat/deep/3.JPG": labelled("cat", "test"),
        },
    ),
    "classes that are digits": Case(images("0/1.jpg", "1/2.jpg"), {"0/1.jpg": labelled("0"), "1/2.jpg": labelled("1")}),
    "manifests within splits": Case(
        {
            **images("train/1.jpg", "validation/1.jpg"),
            "train/metadata.jsonl": lines(ONE),
            "validation/metadata.csv": "file_name,text\n",
            "validation/metadata.jsonl": lines({**TWO, "file_name": "1.jpg"}),
        },
        {"train/1.jpg": said("one", "train"), "validation/1.jpg": said("two", "validation")},
        left_out=1,
    ),
    "texts beside images": Case({**IMAGES, "1.txt": "one\n", "2.txt": "\ufefftwo", "README.md": "#"}, BOTH, left_out=1),
    "texts beside images in a folder": Case(
        {**images("images/1.jpg", "images/2.jpg"), "images/1.txt": "one", "images/2.txt": "two"},
        {"images/1.jpg": said("one"), "images/2.jpg": said("two")},
    ),
    "an image without a text beside others": Case(
        {**IMAGES, "3.jpg": image("3.jpg"), "1.txt": "one", "2.txt": "two", "4.txt": "of none"},
        BOTH,
        ("3.jpg",),
        left_out=1,
    ),
    "texts and classes": Case(
        {**images("cat/1.jpg", "dog/2.jpg"), "cat/1.txt": "a cat asleep", "dog/2.txt": "0 0.5 0.5 0.2 0.2"},
        {"cat/1.jpg": (("a cat asleep",), "cat", None), "dog/2.jpg": labelled("dog")},
    ),
    "names with full stops": Case(
        {
            **images("0.05.jpg", "0.10.jpg", "a.b.jpg", "7.rgb.jpg"),
            **{"0.05.txt": "five", "0.10.txt": "ten", "a.b.txt": "ab", "7.txt": "seven"},
        },
        {"0.05.jpg": said("five"), "0.10.jpg": said("ten"), "a.b.jpg": said("ab"), "7.rgb.jpg": said("seven")},
    ),
    "a bad text beside an image": Case(
        {**IMAGES, **images("3.jpg", "4.jpg", "5.jpg"), "1.txt": "one", "2.txt": "two"}
        | {"3.txt": b"caf\xe9", "4.txt": "two".encode("utf-16"), "5.txt": " \n"},
        BOTH,
        ("3.jpg", "4.jpg", "5.jpg"),
    ),
}
