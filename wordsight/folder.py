"""A folder of images with what is said of them: metadata.jsonl, or a folder per label, perhaps in one per split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.annotations import SPLIT_NAMES
from contract.imports import IMAGE_FIELDS, IMAGE_SUFFIXES, SENTENCE_FIELDS
from wordsight.api import CommandError

_FIELDS = ("label", "task", "split", "dataset")


@dataclass(frozen=True)
class Found:
    """One image, and the fields of its annotation that the folder tells."""

    path: Path
    said: dict[str, Any]


def find(folder: Path) -> list[Found]:
    """Everything in the folder, in a stable order. Raises CommandError if there is nothing, or a line can't be read."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder")
    manifests = sorted([*folder.glob("*.jsonl"), *folder.glob("*/*.jsonl")])
    found = [each for manifest in manifests for each in _of_lines(manifest)] if manifests else list(_of_folders(folder))
    if not found:
        raise CommandError(f"nothing to annotate is in {folder}: neither metadata.jsonl nor folders named after labels")
    return found


def _of_lines(manifest: Path) -> Iterator[Found]:
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            image = next(said[name] for name in IMAGE_FIELDS if name in said)
        except (ValueError, TypeError, StopIteration):
            raise CommandError(
                f"{manifest} line {number} is no JSON object that names an image by one of {', '.join(IMAGE_FIELDS)}"
            ) from None
        sentences: Any = next((said[name] for name in SENTENCE_FIELDS if name in said), [])
        fields = {name: said[name] for name in _FIELDS if said.get(name) is not None}
        split = SPLIT_NAMES.get(str(fields.get("split", manifest.parent.name)))
        yield Found(manifest.parent / image, {"sentences": sentences, **fields, **({"split": split} if split else {})})


def _of_folders(folder: Path) -> Iterator[Found]:
    folders = [each for each in folder.iterdir() if each.is_dir()]
    has_splits = bool(folders) and all(each.name in SPLIT_NAMES for each in folders)
    for path in sorted(folder.rglob("*")):
        labels = list(path.relative_to(folder).parts[:-1])
        if path.suffix.lower() not in IMAGE_SUFFIXES or not labels:
            continue
        split = {"split": SPLIT_NAMES[labels.pop(0)]} if has_splits else {}
        if labels:
            yield Found(path, {"label": labels[0], **split})
