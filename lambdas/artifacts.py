"""Checkpoints in the artifacts bucket, as far as a Lambda looks at them: small files, and parts of large ones."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lambdas.clients import Connect
from lambdas.store import ABSENT, failures_in_words
from model.contract import BadRequest
from model.resources.models import MODELS_PREFIX

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
