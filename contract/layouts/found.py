"""What is kept of a dataset between two steps of an import: its layout, how far it is read, and what was noticed."""

from functools import lru_cache

from pydantic import Field

from contract.deferred import Deferred
from contract.layouts.places import shown
from contract.problems import shorten
from contract.texts import same_to_the_model
from contract.validation import Stored

FIRST_KINDS = 100
"""Of what was noticed so many kinds are told apart."""
MAX_REMEMBERED_LABELS = 10_000
MAX_REMEMBERED_CHARS = 200
"""An import keeps the spellings in its document, which is written again and again."""

_known_by = lru_cache(maxsize=1 << 14)(same_to_the_model)


class Layout(Stored):
    """What was found to read: manifests, or images in folders that may be named after labels, which may lie in folders
    per split, and texts beside images. `classes` are the names of labels that are numbers, `images` how many there are,
    and `why` says how it was told.
    """

    manifests: list[str] = Field(default=[])
    split_folders: bool = False
    kind: str = ""
    labelled: bool = True
    texts: bool = False
    classes: list[str] = Field(default=[])
    images: int = 0
    why: str = ""


class Cursor(Stored):
    """Where reading goes on: behind a line of a manifest, or behind a file."""

    manifest: int = 0
    line: int = 0
    offset_bytes: int = 0
    key: str = ""


class Findings(Deferred):
    """What was noticed while a dataset was read, and how often: what was left out and why, what was taken otherwise
    than it is written, and fields that mean nothing here. `spellings` has the labels that were met, by task and by what
    the model makes of them.
    """

    left_out: dict[str, int] = Field(default={})
    notes: dict[str, int] = Field(default={})
    ignored_fields: dict[str, int] = Field(default={})
    spellings: dict[str, dict[str, str]] = Field(default={})

    def leave_out(self, why: str, times: int = 1) -> None:
        """Files that are not read."""
        _count(self.left_out, why, times)

    def note(self, what: str, times: int = 1) -> None:
        """Something was taken otherwise than it is written."""
        _count(self.notes, what, times)

    def ignore(self, name: str) -> None:
        """A row has a field that means nothing here."""
        _count(self.ignored_fields, shorten(shown(name)), 1)

    def spelled(self, task: str, label: str) -> str:
        """The label as it was first spelled: the model can't tell `Cat` from `cat`, so they are one."""
        key = _known_by(label)
        known = self.spellings.get(task, {})
        if key not in known:
            remembered = sum(map(len, self.spellings.values()))
            if remembered < MAX_REMEMBERED_LABELS and len(task) + len(label) <= MAX_REMEMBERED_CHARS:
                self.spellings.setdefault(task, {})[key] = label
            return label
        if known[key] != label:
            self.note(f"label {shorten(label)!r} is taken for {shorten(known[key])!r}: to the model they are the same")
        return known[key]

    def sentences(self) -> list[str]:
        """All of it for a person."""
        return [
            *(f"left out: {times:,} because {why}" for why, times in self.left_out.items()),
            *(f"{times:,} times: {what}" for what, times in self.notes.items()),
            *(f"ignored: the field {shorten(name)!r} of {times:,} rows" for name, times in self.ignored_fields.items()),
        ]


def _count(counts: dict[str, int], key: str, times: int) -> None:
    key = key if key in counts or len(counts) < FIRST_KINDS else "others"
    counts[key] = counts.get(key, 0) + times
