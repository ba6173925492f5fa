"""JSON documents in a bucket: what the API keeps. Writers that would lose an update are told so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from contract.models import MODELS_PREFIX
from contract.problems import BadRequest, PreconditionFailed
from lambdas.aws.clients import Connect
from lambdas.aws.errors import failures_in_words

_READERS = 8  # botocore keeps 10 connections
ABSENT = frozenset({"NoSuchKey", "404"})
_BEHIND_THE_END = "InvalidRange"
_AT_THE_SAME_MOMENT = "ConditionalRequestConflict"
"""S3's word for two conditional writes of which it can't tell yet which came first."""
_LOST_UPDATE = frozenset({"PreconditionFailed", _AT_THE_SAME_MOMENT, "412"})


@dataclass(frozen=True)
class Document:
    """A stored JSON object. `etag` names this state of it, without quotes."""

    key: str
    value: dict[str, Any]
    etag: str


class Store:
    """One bucket's JSON documents. Every method raises ServiceUnavailable if S3 is silent."""

    def __init__(self, bucket: str, connect: Connect) -> None:
        self.bucket = bucket
        self._connect = connect

    def read(self, key: str) -> Document | None:
        """The document at a key, or None where there is none."""
        with failures_in_words():
            try:
                found = self._s3.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in ABSENT:
                    return None
                raise
            return Document(key, json.loads(found["Body"].read()), found["ETag"].strip('"'))

    def read_all(self, keys: Sequence[str]) -> list[Document]:
        """The documents at some keys in their order; what was deleted meanwhile is left out."""
        if not keys:
            return []
        with ThreadPoolExecutor(min(_READERS, len(keys))) as readers:
            return [found for found in readers.map(self.read, keys) if found]

    def write(self, key: str, value: dict[str, Any], *, etag: str | None = None, absent: bool = False) -> Document:
        """Store a document; with `etag` only over that state of it, with `absent` only where there is none.

        Raises PreconditionFailed if another writer came first.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"} if absent else {}
        body = json.dumps(value, ensure_ascii=False).encode()
        with failures_in_words():
            try:
                stored = self._s3.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", **condition
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _LOST_UPDATE | (ABSENT if etag else frozenset()):
                    raise _changed_meanwhile() from None
                raise
        return Document(key, value, stored["ETag"].strip('"'))

    def delete(self, key: str, *, etag: str | None = None) -> None:
        """Remove a document, with `etag` only in that state of it; nothing happens where there is none.

        Raises PreconditionFailed if another writer came first.
        """
        with failures_in_words():
            try:
                self._s3.delete_object(Bucket=self.bucket, Key=key, **({"IfMatch": etag} if etag else {}))
            except ClientError as error:
                if error.response["Error"]["Code"] not in _LOST_UPDATE:
                    raise
                raise _changed_meanwhile() from None

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store bytes, in place of what may be there."""
        with failures_in_words():
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)

    def keep(self, key: str, content: bytes, content_type: str) -> None:
        """Store bytes under a name that only they have; nothing happens where they are already."""
        with failures_in_words():
            try:
                self._s3.put_object(
                    Bucket=self.bucket, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _LOST_UPDATE:
                    raise
                if error.response["Error"]["Code"] == _AT_THE_SAME_MOMENT:
                    self.put(key, content, content_type)

    def erase(self, prefix: str) -> int:
        """Remove every object under a prefix with all of its former versions; how many there were at the end."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        present = 0
        with failures_in_words():
            for page in pages:
                versions = page.get("Versions", [])
                present += sum(each["IsLatest"] for each in versions)
                for each in (*versions, *page.get("DeleteMarkers", [])):
                    self._s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
        return present

    def lines(self, key: str, offset_bytes: int = 0) -> Iterator[bytes]:
        """The lines of an object from an offset on, with their ends; none where there is no object."""
        with failures_in_words():
            try:
                found = self._s3.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={offset_bytes}-")
            except ClientError as error:
                if error.response["Error"]["Code"] not in ABSENT | {_BEHIND_THE_END}:
                    raise
                return
            with closing(found["Body"]) as body:  # which enters as the connection below it, without lines
                yield from body.iter_lines(keepends=True)

    def files(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix and have no slash behind it."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with failures_in_words():
            for page in pages:
                yield from (found["Key"] for found in page.get("Contents", []))

    def folders(self, prefix: str) -> Iterator[str]:
        """The names between a prefix and the next slash."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with failures_in_words():
            for page in pages:
                yield from (found["Prefix"].removeprefix(prefix)[:-1] for found in page.get("CommonPrefixes", []))

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """The keys that begin with a prefix, in the order of their UTF-8 bytes, beginning behind `after`."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, **({"StartAfter": after} if after else {})
        )
        with failures_in_words():
            for page in pages:
                yield from (found["Key"] for found in page.get("Contents", []))

    @property
    def _s3(self) -> Any:
        return self._connect("s3")


def _changed_meanwhile() -> PreconditionFailed:
    return PreconditionFailed("it was changed meanwhile: read it again, and send its new etag")


MAX_FILE_BYTES = 8 * 1024 * 1024
"""What is read of a file: a wordsight.json has some ten kilobytes, an index of shards some hundred."""


class Artifacts:
    """One bucket's checkpoints. Every method raises ServiceUnavailable if S3 is silent."""

    def __init__(self, bucket: str, connect: Connect) -> None:
        self.bucket = bucket
        self._connect = connect

    def prefix_of(self, s3_uri: str) -> str:
        """The key prefix of a checkpoint's folder, which ends with a slash.

        Raises BadRequest if it is not one of this bucket's models.
        """
        root = f"s3://{self.bucket}/"
        prefix = s3_uri.removeprefix(root).rstrip("/") + "/"
        if not s3_uri.startswith(f"{root}{MODELS_PREFIX}") or prefix == MODELS_PREFIX:
            raise BadRequest(f"s3_uri is {s3_uri!r}, allowed: a folder under {root}{MODELS_PREFIX}")
        return prefix

    def sizes_bytes(self, prefix: str) -> dict[str, int]:
        """The files of a folder with their sizes, without those of folders in it."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with failures_in_words():
            files = [found for page in pages for found in page.get("Contents", [])]
        return {found["Key"].removeprefix(prefix): found["Size"] for found in files}

    def read(self, key: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        """At most `size_bytes` of a file beginning with its byte `first`, or None where there is none."""
        with failures_in_words():
            try:
                found = self._s3.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={first}-{first + size_bytes - 1}"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in ABSENT:
                    return None
                if error.response["Error"]["Code"] == "InvalidRange":  # it ends before
                    return b""
                raise
            content: bytes = found["Body"].read()
        return content

    @property
    def _s3(self) -> Any:
        return self._connect("s3")
