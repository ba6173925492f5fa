"""What an import reads: a dataset in the bucket in any layout, from any place on, as annotations."""

from collections.abc import Iterator
from dataclasses import dataclass

from contract.annotations import Entry, entry_or_problem
from contract.imports import AnnotationImport, AnnotationImportBody
from contract.layouts.find import JSON_LINES, TABLE, TABLE_SUFFIXES, LayoutError
from contract.layouts.find import find_layout as find
from contract.layouts.found import Cursor, Findings, Layout
from contract.layouts.places import MAX_TEXT_FILE_BYTES, Line, Place, bucket_and_key, suffix_of
from contract.layouts.rows import rows_from
from contract.layouts.said import Said
from contract.limits import UPLOADS_PREFIX
from contract.problems import BadRequest
from lambdas.aws.s3 import Store

_ELSEWHERE = "/"
"""What the name of an object begins with that does not lie below the prefix."""


@dataclass(frozen=True)
class Bucket:
    """The objects below a prefix of a bucket as a place."""

    store: Store
    prefix: str

    def names(self, after: str = "") -> Iterator[str]:
        for key in self.store.keys(self.prefix, after=f"{self.prefix}{after}" if after else ""):
            if not key.endswith("/"):  # what consoles make when they are asked for a folder
                yield key.removeprefix(self.prefix)

    def lines(self, name: str, after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
        return self.store.lines(self.key_of(name), after_line, offset_bytes)

    def read(self, name: str) -> bytes:
        found = self.store.read_file(self.key_of(name), size_bytes=MAX_TEXT_FILE_BYTES + 1)
        if found is None:
            raise FileNotFoundError(f"there is no {name}")
        return found

    def exists(self, name: str) -> bool:
        key = self.key_of(name)
        return next(self.store.keys(key), None) == key

    def address(self, address: str) -> str | None:
        """Only what lies in this bucket."""
        bucket, key = bucket_and_key(address)
        if bucket not in ("", self.store.bucket):
            return None
        return key.removeprefix(self.prefix) if key.startswith(self.prefix) else f"{_ELSEWHERE}{key}"

    def shard(self, name: str) -> Place:
        raise OSError("tar shards are read by training alone: upload the files that are in it")

    def key_of(self, name: str) -> str:
        """The key of a name."""
        return name.removeprefix(_ELSEWHERE) if name.startswith(_ELSEWHERE) else f"{self.prefix}{name}"


@dataclass(frozen=True)
class Row:
    """One record: which line or file says it, the annotations that it says, and where the next one is looked for."""

    place: str
    entries: list[Entry]
    behind: Cursor


def find_layout(store: Store, asked: AnnotationImportBody, findings: Findings) -> Layout:
    """Which of the known layouts lies there. Raises BadRequest if it is none."""
    place = _place(store, asked)
    if asked.s3_key is None:
        try:
            return find(place, findings)
        except LayoutError as error:
            raise BadRequest(f"nothing to import lies under {place.prefix!r}: {error}") from None
    name = asked.s3_key.removeprefix(place.prefix)
    if not place.exists(name):
        raise BadRequest(f"there is no {asked.s3_key!r} in the data bucket: upload it first, uploads stay for a day")
    kind = TABLE if suffix_of(name) in TABLE_SUFFIXES else JSON_LINES
    return Layout(kind=kind, manifests=[name], why="the s3_key names it")


def rows(store: Store, importing: AnnotationImport, layout: Layout, findings: Findings) -> Iterator[Row]:
    """The records behind the import's cursor."""
    place = _place(store, importing.asked)
    # an import that an earlier version began has whole keys in its document
    names = [name.removeprefix(place.prefix) for name in layout.manifests]
    start = importing.cursor.model_copy(update={"key": importing.cursor.key.removeprefix(place.prefix)})
    for row in rows_from(place, layout.model_copy(update={"manifests": names}), findings, start):
        yield Row(f"{place.prefix}{row.place}", _entries(place, importing.asked, row.said, findings), row.behind)


def _entries(place: Bucket, asked: AnnotationImportBody, said: Said | str, findings: Findings) -> list[Entry]:
    if isinstance(said, str):
        problem = BadRequest(said)
        return [Entry(problem, problem)]
    image = {"s3_key": place.key_of(said.image)}
    return [
        entry_or_problem({**annotation, "image": image, "dataset": asked.dataset})
        for annotation in said.annotations(asked.task, asked.split, findings)
    ]


def _place(store: Store, asked: AnnotationImportBody) -> Bucket:
    return Bucket(store, UPLOADS_PREFIX if asked.s3_prefix is None else f"{asked.s3_prefix.rstrip('/')}/")
