"""The SageMaker endpoint as the API sees it, and what each of its failures means to a caller."""

import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from pydantic import ValidationError

from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import CONTAINER_TIMEOUT_S, SDK_READ_TIMEOUT_S
from contract.model_cards import EndpointCards
from contract.problems import (
    PROBLEMS,
    BadGateway,
    GatewayTimeout,
    ModelStopped,
    PayloadTooLarge,
    ProblemError,
    ServiceUnavailable,
    UnknownHeads,
)
from contract.requests import DescribeRequest, to_multipart
from lambdas.aws.clients import Connect
from lambdas.aws.errors import THROTTLED, botocore_errors_as_problems, code_of, message_of, status_of

RETRY_SOON_S = 2
"""For overload and lost connections."""
RETRY_LATER_S = 30
"""For an endpoint that is being deployed."""

STATUS_AGE_S = 5
"""Everybody may ask for the status, and the account's few DescribeEndpoint calls per second are also a deployment's."""

DESCRIBE_TIMEOUT_S = 2
"""Who asks for the status does not wait for a busy model."""

SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
"""States in which invocations are answered: an update keeps the old fleet until the new one serves."""

_UNAVAILABLE = frozenset({"ModelNotReadyException", "ServiceUnavailable", "ServiceUnavailableException"})
_ABSENT = ("ValidationError", "ValidationException")
_TIMED_OUT = f"the model did not answer within {SDK_READ_TIMEOUT_S} s: send fewer images or labels, or try again"


class Endpoint:
    """One SageMaker real-time endpoint. Every failure it is known to have is raised as a ProblemError."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        why_absent: Callable[[], ProblemError | None] = lambda: None,
    ) -> None:
        """`why_absent` is asked once SageMaker has said that there is no endpoint, and at no other time."""
        self.name = name
        self._connect = connect
        self._why_absent = why_absent
        self._clock_s = clock_s
        self._seen_status = ""
        self._seen_instances = True
        self._seen_at_s = -math.inf
        self._cards: EndpointCards | None = None
        self._described_at_s = -math.inf

    def invoke(self, content_type: str, body: bytes, attributes: InvocationAttributes) -> tuple[Any, AnswerAttributes]:
        """Send `body` to the container: (its JSON answer, what it says beside it).

        Its stage timings are joined by "endpoint", the whole call as it was seen from here.
        """
        started_s = self._clock_s()
        with self._errors_as_problems(started_s):
            response = self._connect("sagemaker-runtime").invoke_endpoint(
                EndpointName=self.name,
                ContentType=content_type,
                Accept="application/json",
                CustomAttributes=attributes.encode(),
                Body=body,
            )
            content = response["Body"].read()
        try:
            answer, beside = json.loads(content), AnswerAttributes.decode(response.get("CustomAttributes"))
        except ValueError as error:
            raise BadGateway("the model's answer can't be read: the endpoint runs a foreign or broken image") from error
        timings_ms = {**beside.timings_ms, "endpoint": (self._clock_s() - started_s) * 1000}
        return answer, replace(beside, timings_ms=timings_ms)

    def status(self) -> str:
        """`EndpointStatus` of an endpoint that serves, such as "InService", as it was STATUS_AGE_S ago or later.

        Raises ServiceUnavailable with the state in its sentence if it does not, or has no instance.
        """
        if self._clock_s() - self._seen_at_s >= STATUS_AGE_S:
            with self._errors_as_problems(self._clock_s()):
                description = self._connect("sagemaker").describe_endpoint(EndpointName=self.name)
            self._seen_status, self._seen_at_s = description["EndpointStatus"], self._clock_s()
            variants = description.get("ProductionVariants", [])
            self._seen_instances = not variants or any(each.get("CurrentInstanceCount", 1) for each in variants)
        if self._seen_status not in SERVING:
            raise ServiceUnavailable(f"the endpoint {self.name} is {self._seen_status}", retry_after_s=RETRY_LATER_S)
        if not self._seen_instances:
            raise ServiceUnavailable(
                f"the endpoint {self.name} is {self._seen_status}, and none of its instances is: try again",
                retry_after_s=RETRY_SOON_S,
            )
        return self._seen_status

    def exists(self) -> bool:
        """Whether there is one, in whatever state."""
        with botocore_errors_as_problems("SageMaker", ignored=_ABSENT):
            self._connect("sagemaker").describe_endpoint(EndpointName=self.name)
            return True
        return False

    def cards(self) -> EndpointCards | None:
        """What the endpoint says of its models, as it was STATUS_AGE_S ago or later; None while it can't be asked."""
        if self._clock_s() - self._described_at_s >= STATUS_AGE_S:
            self._described_at_s = self._clock_s()
            deadline = InvocationAttributes(deadline_epoch_ms=int((time.time() + DESCRIBE_TIMEOUT_S) * 1000))
            try:
                answer, _ = self.invoke(*to_multipart(DescribeRequest(), ()), deadline)
                self._cards = EndpointCards.model_validate(answer)
            except (ProblemError, ValidationError):  # not in service, busy, or of another version
                self._cards = None
        return self._cards

    def version(self) -> str:
        """What the endpoint calls its model now. Raises what `invoke` raises."""
        deadline = InvocationAttributes(deadline_epoch_ms=int((time.time() + CONTAINER_TIMEOUT_S) * 1000))
        return self.invoke(*to_multipart(DescribeRequest(), ()), deadline)[1].model_version

    def _errors_as_problems(self, started_s: float) -> AbstractContextManager[bool | None]:
        def problem_of(error: Exception) -> ProblemError | None:
            return self._problem(error, self._clock_s() - started_s)

        return botocore_errors_as_problems("SageMaker", problem_of=problem_of)

    def _problem(self, error: Exception, waited_s: float) -> ProblemError | None:
        """What `error` means to a caller; None for what can only be a fault of this code or its permissions."""
        if isinstance(error, ReadTimeoutError):
            return GatewayTimeout(_TIMED_OUT)
        if not isinstance(error, ClientError):
            return ServiceUnavailable("the connection to the model was lost: try again", retry_after_s=RETRY_SOON_S)
        code, message = code_of(error), message_of(error).lower()
        status = status_of(error)
        if code == "ModelError":
            return _container_problem(error, waited_s)
        if status == 413 or "oversize body" in message or "length less than" in message:
            return PayloadTooLarge(
                "SageMaker takes no request this large: shrink the images to 1024 px on the longer side or send fewer"
            )
        if code in THROTTLED:
            return ServiceUnavailable("too many requests reach the model: try again", retry_after_s=RETRY_SOON_S)
        if code in _UNAVAILABLE:
            return ServiceUnavailable("the model is not ready: try again", retry_after_s=RETRY_SOON_S)
        if code in _ABSENT:
            return self._why_absent() or ServiceUnavailable(
                f"the endpoint {self.name} is not in service: it is being deployed, or it was deleted",
                retry_after_s=RETRY_LATER_S,
            )
        if status >= 500:
            return BadGateway("SageMaker failed: try again, and quote the request id when asking for help")
        return None


def _container_problem(error: ClientError, waited_s: float) -> ProblemError:
    """The container's own answer, handed on: its sentence for a caller's fault, a fixed one for its own."""
    # 0 is SageMaker's word for a container that never answered: too slow, or dead, which shows sooner
    status = int(error.response.get("OriginalStatusCode") or 0)
    try:
        said = json.loads(str(error.response.get("OriginalMessage", "")))
    except ValueError:
        said = None
    problem = said if isinstance(said, dict) else {}
    detail, retry_after_s = problem.get("detail"), problem.get("retry_after_s")
    if status in (429, 503):
        return ServiceUnavailable(detail or "the model is busy: try again", retry_after_s=retry_after_s or RETRY_SOON_S)
    if status == 0 and waited_s < CONTAINER_TIMEOUT_S:
        return ModelStopped("the model stopped at this request and is started again", retry_after_s=RETRY_SOON_S)
    if status in (0, 504):
        return GatewayTimeout(detail or _TIMED_OUT)
    if status == UnknownHeads.status and (unknown := UnknownHeads.told(problem)):
        return unknown
    if 400 <= status < 500 and status in PROBLEMS and detail:
        return PROBLEMS[status](detail)
    return BadGateway("the model failed on this request: quote the request id when asking for help")
