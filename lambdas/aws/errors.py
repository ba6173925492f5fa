"""What botocore raises, as the problems that callers are told of."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

from contract.problems import ProblemError, ServiceUnavailable

RETRY_AFTER_S = 2
THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})
TRANSIENT = THROTTLED | {"RequestTimeout", "OperationAborted", "SlowDown", "KMS.ThrottlingException"}
"""What is over in a moment although its status is a 4xx: a connection that was too slow, two changes of a bucket at
once, too many calls. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""
TOO_MANY = 429
LOST_CONNECTION = (HTTPClientError, ConnectionError, IncompleteReadError)
"""Every failure of the way to a service, time-outs included; botocore keeps them in two families and one apart."""


@contextmanager
def botocore_errors_as_problems(
    service: str,
    *,
    ignored: Collection[str] = (),
    problem_of: Callable[[Exception], ProblemError | None] = lambda error: None,
) -> Iterator[None]:
    """Raise ServiceUnavailable where a service is not reached, throttles or fails, or what `problem_of` makes of it.

    An answer with one of the error codes `ignored` ends the block and nothing else. What is left, such as a missing
    permission, is a fault of this code or its deployment, and raised as it is.
    """
    try:
        yield
    except (*LOST_CONNECTION, ClientError) as error:
        if code_of(error) in ignored:
            return
        problem = problem_of(error)
        status = status_of(error)
        if problem is None and 0 < status < 500 and status != TOO_MANY and code_of(error) not in TRANSIENT:
            raise
        raise problem or ServiceUnavailable(
            f"{service} did not answer: try again", retry_after_s=RETRY_AFTER_S
        ) from error


def code_of(error: Exception) -> str:
    """AWS's error code, such as "NoSuchKey", or "" where no answer came."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def status_of(error: Exception) -> int:
    """The HTTP status, or 0 where no answer came."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def message_of(error: Exception) -> str:
    """What AWS says of the error, or "" where no answer came."""
    return str(error.response["Error"].get("Message", "")) if isinstance(error, ClientError) else ""
