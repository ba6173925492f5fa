"""AWS clients with the timeouts of the contract's ladder, and calls of theirs at the same time."""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from botocore.config import Config
from botocore.session import Session

from contract.limits import (
    SDK_CONNECT_TIMEOUT_S,
    SDK_MAX_ATTEMPTS,
    SDK_READ_TIMEOUT_S,
    SERVICE_MAX_ATTEMPTS,
    SERVICE_READ_TIMEOUT_S,
    WORKER_MAX_ATTEMPTS,
    WORKER_READ_TIMEOUT_S,
)

MODEL_FUNCTION = "lambda, as the model"
"""Lambda where its function is the model."""
MODELS = {"sagemaker-runtime": "sagemaker-runtime", MODEL_FUNCTION: "lambda"}
"""The services whose calls are not repeated, by the name that connects, with botocore's."""

Connect = Callable[[str], Any]
"""From a service's name to its client, the same one each time: botocore's, which are boto3's without its way to move
files and its objects, that every cold start would wait for.
"""

CONCURRENT_CALLS = 8
"""Of one client: botocore keeps 10 connections."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@cache
def connect(service: str) -> Any:
    """The client of `service` in a function behind the API, made at its first use: most calls need one of three.

    What S3 answers with SlowDown, or a service with throttling, is asked again, as AWS asks its clients to:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    return _client(service, SERVICE_READ_TIMEOUT_S, SERVICE_MAX_ATTEMPTS)


@cache
def connect_worker(service: str) -> Any:
    """The same in a function that no caller waits for: beginning its work again costs more than waiting."""
    return _client(service, WORKER_READ_TIMEOUT_S, WORKER_MAX_ATTEMPTS)


def _client(service: str, read_timeout_s: int, attempts: int) -> Any:
    if service in MODELS:
        read_timeout_s, attempts = SDK_READ_TIMEOUT_S, SDK_MAX_ATTEMPTS
    client = _session().create_client(
        MODELS.get(service, service),
        config=Config(
            connect_timeout=SDK_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
            # What is signed for others must be so as every region takes it, and lead to the bucket's own region: by
            # default forms carry the old signature in us-east-1, and lead there from everywhere else.
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "virtual"},
        ),
    )
    # Python's own again: a connection that is lost leaves a request's body in a cycle of objects
    gc.set_threshold(700, 10, 10)
    return client


@cache
def _session() -> Session:
    """What all clients share: credentials, and descriptions of services that are read once."""
    gc.freeze()  # what a function has imported stays, and a client's many objects would have all of it looked through
    return Session()


def concurrently(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `work` returns for each item, in their order, CONCURRENT_CALLS at a time.

    No more results than that are in memory before they are asked for. Raises what `work` raises.
    """
    with ThreadPoolExecutor(CONCURRENT_CALLS) as threads:
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) == CONCURRENT_CALLS:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
