"""Checkpoints as they lie in the artifacts bucket: one folder each."""

import json
from dataclasses import dataclass
from typing import Any, Self

from contract.models import MODELS_PREFIX
from contract.problems import BadRequest
from lambdas.aws.s3 import MAX_FILE_BYTES, Store


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint's folder. `prefix` is what its files' keys begin with, and ends with a slash."""

    store: Store
    prefix: str

    @classmethod
    def at(cls, s3_uri: str, store: Store) -> Self:
        """The folder at an address. Raises BadRequest if it is not one of this bucket's models."""
        root = f"s3://{store.bucket}/"
        prefix = s3_uri.removeprefix(root).rstrip("/") + "/"
        if not s3_uri.startswith(f"{root}{MODELS_PREFIX}") or prefix == MODELS_PREFIX:
            raise BadRequest(f"s3_uri is {s3_uri!r}, allowed: a folder under {root}{MODELS_PREFIX}")
        return cls(store, prefix)

    @property
    def s3_uri(self) -> str:
        return f"s3://{self.store.bucket}/{self.prefix}"

    def sizes_bytes(self) -> dict[str, int]:
        """The files of the folder with their sizes, without those of folders in it."""
        return {key.removeprefix(self.prefix): size for key, size in self.store.files(self.prefix).items()}

    def read(self, name: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        """At most `size_bytes` of a file beginning with its byte `first`, or None where there is none."""
        return self.store.read_file(self.prefix + name, first=first, size_bytes=size_bytes)

    def read_json(self, name: str) -> dict[str, Any]:
        """A file that holds a JSON object. Raises BadRequest."""
        return json_object_of(name, self.read(name))


def json_object_of(name: str, content: bytes | None) -> dict[str, Any]:
    """What a file holds, or a part of it, as the JSON object that it must be. Raises BadRequest."""
    try:
        parsed = json.loads(content or b"")
    except ValueError as error:
        raise BadRequest(f"{name} can't be read as JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise BadRequest(f"{name} is not a JSON object")
    return parsed
