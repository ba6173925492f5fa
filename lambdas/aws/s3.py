"""One bucket's objects: JSON documents, files, JSON lines and images. Writers that would lose an update are told so."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from contract.documents import MAX_FILE_BYTES
from contract.layouts.places import Line, split_lines
from contract.problems import NotFound, PreconditionFailed, ProblemError, UnprocessableImage, shorten
from lambdas.aws.clients import Connect, concurrently
from lambdas.aws.errors import TOO_MANY, TRANSIENT, botocore_errors_as_problems, code_of, message_of, status_of

_CHUNK_BYTES = 64 * 1024

_ABSENT = frozenset({"NoSuchKey", "404"})
_BEHIND_THE_END = "InvalidRange"
_AT_THE_SAME_MOMENT = "ConditionalRequestConflict"
"""S3's word for two conditional writes of which it can't tell yet which came first."""
_LOST_UPDATE = frozenset({"PreconditionFailed", _AT_THE_SAME_MOMENT, "412"})

_NOTHING = ".nothing"
_DENIED = "AccessDenied"
"""Of what is not there, to a role that may not list."""
_ARCHIVED = "InvalidObjectState"
_OF_ALL = frozenset({"NoSuchBucket", "AllAccessDisabled", "PermanentRedirect", "InvalidAccessKeyId", "ExpiredToken"})
"""Refusals that no other object would be spared."""

JsonObject = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value", bound="JsonObject | BaseModel")


@dataclass(frozen=True)
class Document(Generic[Value]):
    """A stored JSON object. `etag` names this state of it, without quotes."""

    key: str
    value: Value
    etag: str


class Store:
    """The objects of one bucket. Every method raises ServiceUnavailable if S3 does not answer."""

    def __init__(self, bucket: str, connect: Connect) -> None:
        self.bucket = bucket
        self._connect = connect

    def read(self, key: str) -> Document[JsonObject] | None:
        """The document at a key, or None where there is none."""
        with _errors_as_problems(ignored=_ABSENT):
            found = self._s3.get_object(Bucket=self.bucket, Key=key)
            return Document(key, json.loads(found["Body"].read()), found["ETag"].strip('"'))
        return None

    def read_all(self, keys: Sequence[str]) -> list[Document[JsonObject]]:
        """The documents at some keys in their order; what was deleted meanwhile is left out."""
        return [found for found in concurrently(self.read, keys) if found]

    def find(self, model: type[Model], key: str) -> Model | None:
        """The document at a key as a model, or None where there is none."""
        found = self.read(key)
        return model.model_validate(found.value) if found else None

    def load(self, model: type[Model], key: str, absent: str) -> Document[Model]:
        """The document at a key with its state. Raises NotFound with the sentence `absent`."""
        found = self.read(key)
        if found is None:
            raise NotFound(absent)
        return Document(key, model.model_validate(found.value), found.etag)

    def find_all(self, model: type[Model], keys: Sequence[str]) -> list[Model]:
        """The documents at some keys as models in their order; what was deleted meanwhile is left out."""
        return [model.model_validate(found.value) for found in self.read_all(keys)]

    def write(self, key: str, value: Value, *, etag: str | None = None, absent: bool = False) -> Document[Value]:
        """Store a document; with `etag` only over that state of it, with `absent` only where there is none.

        Raises PreconditionFailed if another writer came first.
        """
        members = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        body = json.dumps(members, ensure_ascii=False).encode()
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"} if absent else {}
        with _errors_as_problems(lost_update=_LOST_UPDATE | (_ABSENT if etag else frozenset())):
            stored = self._put(key, body, "application/json", **condition)
        return Document(key, value, stored["ETag"].strip('"'))

    def create(self, key: str, value: JsonObject | BaseModel) -> bool:
        """Store a document where there is none, and tell whether there was none."""
        try:
            self.write(key, value, absent=True)
        except PreconditionFailed:
            return False
        return True

    def delete(self, key: str, *, etag: str | None = None) -> None:
        """Remove a document, with `etag` only in that state of it; nothing happens where there is none.

        Raises PreconditionFailed if another writer came first.
        """
        with _errors_as_problems(lost_update=_LOST_UPDATE):
            self._s3.delete_object(Bucket=self.bucket, Key=key, **({"IfMatch": etag} if etag else {}))

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store bytes, in place of what may be there."""
        with _errors_as_problems():
            self._put(key, content, content_type)

    def posting_form(self, key: str, fields: JsonObject, conditions: list[Any], expires_in_s: int) -> JsonObject:
        """A presigned POST form, `url` and `fields`: S3 refuses what it does not allow, whoever sends it."""
        form: JsonObject = self._s3.generate_presigned_post(
            self.bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires_in_s
        )
        return form

    def reading_url(self, key: str, expires_in_s: int, content_type: str = "") -> str:
        """An address from which an object can be had without credentials, as this `content_type` if one is given."""
        request = {"Bucket": self.bucket, "Key": key}
        if content_type:
            request["ResponseContentType"] = content_type
        url: str = self._s3.generate_presigned_url("get_object", Params=request, ExpiresIn=expires_in_s)
        return url

    def put_lines(self, key: str, lines: Iterable[str]) -> bytes:
        """Store JSON lines, in place of what may be there; the object's content."""
        content = "".join(f"{line}\n" for line in lines).encode()
        self.put(key, content, "application/jsonl")
        return content

    def keep(self, key: str, content: bytes, content_type: str) -> None:
        """Store bytes under a name that only they have; nothing happens where they are already."""
        try:
            with _errors_as_problems(ignored=_LOST_UPDATE - {_AT_THE_SAME_MOMENT}, lost_update={_AT_THE_SAME_MOMENT}):
                self._put(key, content, content_type, IfNoneMatch="*")
        except PreconditionFailed:
            self.put(key, content, content_type)

    def erase(self, prefix: str) -> int:
        """Remove every object under a prefix with all of its former versions; how many there were at the end."""
        present = 0
        with _errors_as_problems():
            for page in self._pages("list_object_versions", Prefix=prefix):
                versions = page.get("Versions", [])
                present += sum(each["IsLatest"] for each in versions)
                for each in (*versions, *page.get("DeleteMarkers", [])):
                    self._s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])
        return present

    def read_file(self, key: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        """At most `size_bytes` of a file beginning with its byte `first`, or None where there is none."""
        with _errors_as_problems(ignored=_ABSENT):
            found = self._get_range(key, f"{first}-{first + size_bytes - 1}")
            content: bytes = found.read() if found else b""
            return content
        return None

    def read_image(self, key: str, check_size: Callable[[int], None]) -> bytes | None:
        """An image, or None where there is none. `check_size` hears of its bytes before they are in memory.

        Raises UnprocessableImage for an object that S3 does not hand out, such as an archived one.
        """
        try:
            key.encode()
        except UnicodeEncodeError:
            raise UnprocessableImage(f"the s3_key {key!r} is no text: it holds half a character") from None
        with botocore_errors_as_problems("the image store", ignored=_ABSENT, problem_of=partial(_of_one_object, key)):
            found = self._s3.get_object(Bucket=self.bucket, Key=key)
            check_size(found["ContentLength"])
            image: bytes = found["Body"].read()
            return image
        return None

    def check_answers_beside(self, key: str) -> None:
        """Raises ServiceUnavailable if S3 does not answer about a name in a key's folder that nothing has, either."""
        folder = key.rpartition("/")[0]
        with botocore_errors_as_problems("the image store", ignored={*_ABSENT, _DENIED}):
            self._s3.get_object(Bucket=self.bucket, Key=f"{folder}/{_NOTHING}")

    def lines(self, key: str, after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
        """An object's lines that are not blank, behind the line that ends at `offset_bytes`; none without an object.

        A line ends at a line feed and at nothing else.
        """
        with _errors_as_problems(ignored=_ABSENT):
            if not (found := self._get_range(key, f"{offset_bytes}-")):
                return
            with closing(found) as body:  # which enters as the connection below it, without chunks
                chunks = body.iter_chunks(_CHUNK_BYTES)
                yield from split_lines(chunks, after_line, offset_bytes)

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """The keys that begin with a prefix, in the order of their UTF-8 bytes, beginning behind `after`."""
        return (key for key, _ in self.etags(prefix, after=after))

    def etags(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, str]]:
        """The same with the etag of each."""
        for page in self._pages("list_objects_v2", Prefix=prefix, **({"StartAfter": after} if after else {})):
            yield from ((found["Key"], found["ETag"].strip('"')) for found in page.get("Contents", []))

    def files(self, prefix: str) -> dict[str, int]:
        """The keys that begin with a prefix and have no slash behind it, with their sizes in bytes."""
        pages = self._pages("list_objects_v2", Prefix=prefix, Delimiter="/")
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}

    def folders(self, prefix: str) -> list[str]:
        """The names between a prefix and the next slash."""
        pages = self._pages("list_objects_v2", Prefix=prefix, Delimiter="/")
        found = (each["Prefix"] for page in pages for each in page.get("CommonPrefixes", []))
        return [each.removeprefix(prefix)[:-1] for each in found]

    def _pages(self, operation: str, **request: str) -> Iterator[dict[str, Any]]:
        with _errors_as_problems():
            yield from self._s3.get_paginator(operation).paginate(Bucket=self.bucket, **request)

    def _put(self, key: str, content: bytes, content_type: str, **condition: str) -> dict[str, Any]:
        stored: dict[str, Any] = self._s3.put_object(
            Bucket=self.bucket, Key=key, Body=content, ContentType=content_type, **condition
        )
        return stored

    def _get_range(self, key: str, range_bytes: str) -> Any:
        """The object's body from S3, or None where the range lies behind its end."""
        with _errors_as_problems(ignored={_BEHIND_THE_END}):
            return self._s3.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={range_bytes}")["Body"]

    @property
    def _s3(self) -> Any:
        return self._connect("s3")


def _errors_as_problems(
    *, ignored: Collection[str] = (), lost_update: Collection[str] = ()
) -> AbstractContextManager[bool | None]:
    """Those of S3, of which the codes `lost_update` tell a writer that another one came first."""

    def problem_of(error: Exception) -> PreconditionFailed | None:
        if code_of(error) not in lost_update:
            return None
        return PreconditionFailed("it was changed meanwhile: read it again, and send its new etag")

    return botocore_errors_as_problems("the store", ignored=ignored, problem_of=problem_of)


def _of_one_object(key: str, error: Exception) -> ProblemError | None:
    """The problem of an object that S3 has and does not hand out: an archived one, or one that is encrypted with a key
    this role may not use.
    """
    code, status = code_of(error), status_of(error)
    if not 400 <= status < 500 or status == TOO_MANY or code in TRANSIENT | _OF_ALL:
        return None
    if code == _ARCHIVED:
        why = "it is archived: restore it first"
    else:
        why = f"S3 says {code}: {shorten(message_of(error), 200)}"
    return UnprocessableImage(f"the object {shorten(key, 120)!r} can't be read: {why}")
