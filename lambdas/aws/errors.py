"""AWS's errors in a caller's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from contract.problems import ServiceUnavailable

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


LOST_CONNECTION = (HTTPClientError, ConnectionError, IncompleteReadError)
"""Every failure of the way to a service, time-outs included; botocore keeps them in two families and one apart."""


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Raise ServiceUnavailable instead of what the client says when S3 is silent."""
    silent = ServiceUnavailable("the store did not answer: try again", retry_after_s=RETRY_AFTER_S)
    try:
        yield
    except LOST_CONNECTION as error:
        raise silent from error
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise
        raise silent from error
