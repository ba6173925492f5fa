"""S3 in memory, as far as the functions ask it: one versioned bucket, whose conditional writes take one step.

It is for tests of many small requests; what S3 itself does is tried with moto and on the emulator. Every request is
checked against botocore's model of the service.
"""

import hashlib
import io
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.lambdas.control_plane import check, client_error


class Version(NamedTuple):
    id: str
    content: bytes | None
    """None of a delete marker."""

    @property
    def etag(self) -> str:
        return hashlib.md5(self.content or b"").hexdigest()  # noqa: S324, as S3 makes it


class ObjectStore:
    """A client of S3. `versions` are all of each key, the newest last."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {}
        self._lock = threading.Lock()
        self._count = 0

    def content(self, key: str) -> bytes | None:
        """What is there now."""
        versions = self.versions.get(key)
        return versions[-1].content if versions else None

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for key in self.versions if key.startswith(prefix) and self.content(key) is not None)

    def put(self, key: str, content: bytes) -> str:
        """Store something as others do; its etag."""
        return str(self.put_object(Bucket="data", Key=key, Body=content)["ETag"])

    def get_object(self, **request: Any) -> dict[str, Any]:
        check("s3", "GetObject", request)
        content = self.content(request["Key"])
        if content is None:
            raise client_error("GetObject", "NoSuchKey", "The specified key does not exist.", 404)
        etag = self.versions[request["Key"]][-1].etag
        if "Range" in request:
            first, _, last = request["Range"].removeprefix("bytes=").partition("-")
            if int(first) >= len(content):
                raise client_error("GetObject", "InvalidRange", "The requested range is not satisfiable", 416)
            content = content[int(first) : int(last) + 1 if last else None]
        return {"Body": io.BytesIO(content), "ETag": f'"{etag}"', "ContentLength": len(content)}

    def put_object(self, **request: Any) -> dict[str, Any]:
        check("s3", "PutObject", request)
        with self._lock:
            self._check_condition("PutObject", request)
            return {"ETag": f'"{self._add(request["Key"], bytes(request["Body"])).etag}"'}

    def delete_object(self, **request: Any) -> dict[str, Any]:
        check("s3", "DeleteObject", request)
        key = request["Key"]
        with self._lock:
            self._check_condition("DeleteObject", request)
            if "VersionId" in request:
                left = [each for each in self.versions.get(key, ()) if each.id != request["VersionId"]]
                self.versions = {**self.versions, key: left}
                if not left:
                    del self.versions[key]
            else:
                self._add(key, None)
        return {}

    def get_paginator(self, operation: str) -> Any:
        return Pages(self, operation)

    def generate_presigned_url(self, operation: str, **request: Any) -> str:
        return f"https://data.s3.test/{request['Params']['Key']}?X-Amz-Signature=0&for={operation}"

    def _add(self, key: str, content: bytes | None) -> Version:
        self._count += 1
        version = Version(str(self._count), content)
        self.versions = {**self.versions, key: [*self.versions.get(key, ()), version]}
        return version

    def _check_condition(self, operation: str, request: dict[str, Any]) -> None:
        content = self.content(request["Key"])
        absent, etag = request.get("IfNoneMatch"), request.get("IfMatch")
        if etag and content is None:
            raise client_error(operation, "NoSuchKey", "The specified key does not exist.", 404)
        if (absent and content is not None) or (etag and self.versions[request["Key"]][-1].etag != etag.strip('"')):
            raise client_error(operation, "PreconditionFailed", "At least one of the pre-conditions did not hold", 412)


class Pages(NamedTuple):
    """All in one page."""

    store: ObjectStore
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        prefix = request.get("Prefix", "")
        if self.operation == "list_object_versions":
            check("s3", "ListObjectVersions", request)
            every = [
                (key, each, each is versions[-1])
                for key, versions in self.store.versions.items()
                if key.startswith(prefix)
                for each in versions
            ]
            kept = [
                {"Key": key, "VersionId": v.id, "IsLatest": newest} for key, v, newest in every if v.content is not None
            ]
            yield {
                "Versions": kept,
                "DeleteMarkers": [{"Key": k, "VersionId": v.id} for k, v, _ in every if v.content is None],
            }
            return
        check("s3", "ListObjectsV2", request)
        found = [key for key in self.store.keys(prefix) if key > request.get("StartAfter", "")]
        delimiter = request.get("Delimiter")
        below = {key for key in found if delimiter and delimiter in key[len(prefix) :]}
        folders = sorted({prefix + key[len(prefix) :].partition(str(delimiter))[0] + "/" for key in below})
        contents = [
            {"Key": key, "ETag": f'"{self.store.versions[key][-1].etag}"', "Size": len(self.store.content(key) or b"")}
            for key in found
            if key not in below
        ]
        yield {"Contents": contents, "CommonPrefixes": [{"Prefix": each} for each in folders]}
