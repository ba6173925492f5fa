"""The model's container as whoever runs it shows it, and what each of its failures means to a caller."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from contract.limits import CONTAINER_TIMEOUT_S, SDK_READ_TIMEOUT_S
from contract.problems import (
    PROBLEMS,
    BadGateway,
    GatewayTimeout,
    ModelStopped,
    ProblemError,
    ServiceUnavailable,
    UnknownHeads,
)

RETRY_SOON_S = 2
"""For overload and lost connections."""
RETRY_LATER_S = 30
"""For a container that is being deployed."""

TIMED_OUT = f"the model did not answer within {SDK_READ_TIMEOUT_S} s: send fewer images or labels, or try again"


class Reply(NamedTuple):
    """What the container has answered, if it could."""

    content: bytes
    """A JSON document."""
    custom_attributes: str | None


class State(NamedTuple):
    """How a container is, in SageMaker's words for endpoints, such as "InService"."""

    status: str
    has_instances: bool = True


class Host(Protocol):
    """Who runs the container of one stage: SageMaker or Lambda. Failures of AWS's are raised as botocore has them."""

    service: str
    """Whose failures these are."""
    absent: Collection[str]
    """Error codes that say that there is none."""
    max_image_bytes: int
    """Of the images of one invocation, all together."""
    deletion: str
    """The command that deletes it."""

    def invoke(self, content_type: str, body: bytes, attributes: str) -> Reply:
        """Send a request to the container. Raises a ProblemError where that has answered with one."""

    def state(self) -> State:
        """How the container is."""

    def problem(self, error: ClientError, waited_s: float) -> ProblemError | None:
        """What an error means to a caller that this host alone knows."""


def container_problem(status: int, said: Mapping[str, Any], waited_s: float) -> ProblemError:
    """The container's own answer, handed on: its sentence for a caller's fault, a fixed one for its own.

    `said` is the problem that it has answered with `status`. Zero is SageMaker's word for a container that never
    answered: too slow, or dead, which shows sooner.
    """
    detail, retry_after_s = said.get("detail"), said.get("retry_after_s")
    if status in (429, 503):
        return ServiceUnavailable(detail or "the model is busy: try again", retry_after_s=retry_after_s or RETRY_SOON_S)
    if status == 0 and waited_s < CONTAINER_TIMEOUT_S:
        return stopped()
    if status in (0, 504):
        return GatewayTimeout(detail or TIMED_OUT)
    if status == UnknownHeads.status and (unknown := UnknownHeads.told(dict(said))):
        return unknown
    if 400 <= status < 500 and status in PROBLEMS and detail:
        return PROBLEMS[status](detail)
    return BadGateway("the model failed on this request: quote the request id when asking for help")


def stopped() -> ModelStopped:
    """What a caller is told whose request was the last one of a container."""
    return ModelStopped("the model stopped at this request and is started again", retry_after_s=RETRY_SOON_S)
