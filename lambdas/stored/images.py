"""Images that were uploaded before: `s3_key` sources of a request, read from the data bucket."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from contract.limits import MAX_INVOCATION_BYTES
from contract.problems import NotFound, PayloadTooLarge, ProblemError, ServiceUnavailable
from contract.requests import ImageSource, S3Object
from lambdas.aws.clients import Connect
from lambdas.aws.errors import LOST_CONNECTION
from lambdas.aws.s3 import ABSENT

_READERS = 8  # botocore keeps 10 connections
_RETRY_AFTER_S = 2


class _Allowance:
    """Bytes that may still be read for one request, counted before the bytes are in memory."""

    def __init__(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes
        self._lock = Lock()

    def take(self, size_bytes: int) -> None:
        with self._lock:
            self._left_bytes -= size_bytes
            if self._left_bytes < 0:
                raise PayloadTooLarge(
                    f"the images are larger together than the {MAX_INVOCATION_BYTES:,} bytes allowed in one request: "
                    "send fewer, or upload them shrunk to 1024 px on the longer side"
                )


def read_images(sources: Sequence[ImageSource], bucket: str, connect: Connect) -> list[bytes | ProblemError]:
    """Each source's bytes, in order; a key without an object becomes NotFound in its place.

    Raises PayloadTooLarge if all images together can't be sent to the model, and ServiceUnavailable if S3 is silent.
    """
    allowance = _Allowance(MAX_INVOCATION_BYTES)
    for source in sources:
        if isinstance(source, bytes):
            allowance.take(len(source))
    keys = [source.s3_key for source in sources if isinstance(source, S3Object)]
    if not keys:
        return [source for source in sources if not isinstance(source, S3Object)]
    s3 = connect("s3")
    with ThreadPoolExecutor(min(_READERS, len(keys))) as readers:
        read = readers.map(lambda key: _read(s3, bucket, key, allowance), keys)
        return [next(read) if isinstance(source, S3Object) else source for source in sources]


def _read(s3: Any, bucket: str, key: str, allowance: _Allowance) -> bytes | NotFound:
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
        allowance.take(found["ContentLength"])
        image: bytes = found["Body"].read()
    except LOST_CONNECTION as error:
        raise _silent() from error
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return NotFound(f"no object with the s3_key {key!r} in the data bucket: upload it first")
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise
        raise _silent() from error
    return image


def _silent() -> ServiceUnavailable:
    return ServiceUnavailable("the image store did not answer: try again", retry_after_s=_RETRY_AFTER_S)
