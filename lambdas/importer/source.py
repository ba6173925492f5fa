"""What an import reads: JSON lines with the images' keys or paths, or a folder per label, from any place on."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from contract.annotations import SPLIT_NAMES, Entry, entry_or_problem
from contract.imports import (
    IMAGE_FIELDS,
    IMAGE_SUFFIXES,
    SENTENCE_FIELDS,
    AnnotationImport,
    AnnotationImportBody,
    Cursor,
    Layout,
)
from contract.problems import BadRequest, ProblemError
from lambdas.aws.s3 import Line, Store

_S3 = "s3://"


@dataclass(frozen=True)
class Row:
    """One record: which line or file says it, what it says, and where the next one is looked for."""

    place: str
    entry: Entry
    behind: Cursor


def find_layout(store: Store, asked: AnnotationImportBody) -> Layout:
    """Which of the known layouts lies there. Raises BadRequest if it is none."""
    if asked.s3_key is not None:
        if asked.s3_key not in store.keys(asked.s3_key):
            raise BadRequest(
                f"there is no {asked.s3_key!r} in the data bucket: upload it first, uploads stay for a day"
            )
        return Layout(manifests=[asked.s3_key])
    prefix = _folder(asked)
    folders = store.folders(prefix)
    of_splits = [f"{prefix}{name}/" for name in folders if name in SPLIT_NAMES]
    manifests = [key for place in (prefix, *of_splits) for key in store.files(place) if key.endswith(".jsonl")]
    if not manifests and not folders:
        raise BadRequest(
            f"nothing to import lies under {prefix!r}: neither metadata.jsonl nor folders named after labels"
        )
    return Layout(manifests=manifests, split_folders=len(of_splits) == len(folders))


def rows(store: Store, importing: AnnotationImport, layout: Layout) -> Iterator[Row]:
    """The records behind the import's cursor."""
    if not layout.manifests:
        yield from _labelled_files(store, importing.asked, layout, importing.cursor)
    for number, manifest in enumerate(layout.manifests):
        if number >= importing.cursor.manifest:
            start = importing.cursor if number == importing.cursor.manifest else Cursor(manifest=number)
            for line in store.lines(manifest, start.line, start.offset_bytes):
                behind = Cursor(manifest=number, line=line.number, offset_bytes=line.end_bytes)
                entry = _entry(store.bucket, importing.asked, manifest, line)
                yield Row(f"{manifest} line {line.number}", entry, behind)


def _entry(bucket: str, asked: AnnotationImportBody, manifest: str, line: Line) -> Entry:
    try:
        said = line.json()
    except BadRequest as problem:
        return _bad(problem)
    if not isinstance(said, dict):
        return _bad(BadRequest('the line is no JSON object: {"s3_key": …, "sentences": […]} is needed'))
    image_field = next((name for name in IMAGE_FIELDS if name in said), None)
    if image_field is None:
        return _bad(BadRequest(f"the line names no image: one of {', '.join(IMAGE_FIELDS)} is needed"))
    sentences: object = next((said[name] for name in SENTENCE_FIELDS if name in said), [])
    folder = posixpath.dirname(manifest)
    split = said.get("split") or posixpath.basename(folder)
    return _entry_of(
        asked,
        image={"s3_key": _key(bucket, folder, image_field, said[image_field])},
        sentences=sentences,
        label=said.get("label"),
        task=said.get("task"),
        split=SPLIT_NAMES.get(split, said.get("split")) if isinstance(split, str) else split,
    )


def _key(bucket: str, folder: str, field: str, value: Any) -> Any:
    """The key that a line means: its own, an address in our bucket, or a path from where the manifest lies."""
    if not isinstance(value, str) or field == IMAGE_FIELDS[0]:
        return value
    if value.startswith(_S3):
        return value.removeprefix(f"{_S3}{bucket}/")
    return posixpath.normpath(posixpath.join(folder, value))


def _labelled_files(store: Store, asked: AnnotationImportBody, layout: Layout, start: Cursor) -> Iterator[Row]:
    prefix = _folder(asked)
    for key in store.keys(prefix, after=start.key):
        path = PurePosixPath(key.removeprefix(prefix))
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        folders = list(path.parts[:-1])
        split = SPLIT_NAMES[folders.pop(0)] if layout.split_folders and folders else None
        if folders:
            entry = _entry_of(asked, image={"s3_key": key}, label=folders[0], split=split)
        else:
            entry = _bad(BadRequest("the file lies in no folder that is named after a label"))
        yield Row(key, entry, Cursor(key=key))


def _entry_of(asked: AnnotationImportBody, **said: Any) -> Entry:
    """What a line or a file says, and what holds for all where it says nothing."""
    task = said.get("task") or (asked.task if said.get("label") is not None else None)
    said |= {"task": task, "split": said.get("split") or asked.split, "dataset": asked.dataset}
    return entry_or_problem(said)


def _bad(problem: ProblemError) -> Entry:
    return Entry(problem, problem)


def _folder(asked: AnnotationImportBody) -> str:
    return f"{(asked.s3_prefix or '').rstrip('/')}/"
