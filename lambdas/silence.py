"""What it means to a caller that a service of AWS does not answer, or asks to be asked less often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from lambdas.clients import LOST_CONNECTION
from model.contract import ServiceUnavailable

RETRY_AFTER_S = 2
THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})


@contextmanager
def silence_in_words(service: str) -> Iterator[None]:
    """Raise ServiceUnavailable instead of what botocore says of silence, throttling and faults on AWS's side."""
    silent = ServiceUnavailable(f"{service} did not answer: try again", retry_after_s=RETRY_AFTER_S)
    try:
        yield
    except LOST_CONNECTION as error:
        raise silent from error
    except ClientError as error:
        throttled = error.response["Error"]["Code"] in THROTTLED
        if not throttled and error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise
        raise silent from error
