"""The model of a stage as the API sees it, whoever runs its container, and what each failure means to a caller."""

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
from contract.limits import CONTAINER_TIMEOUT_S
from contract.model_cards import EndpointCards
from contract.problems import BadGateway, GatewayTimeout, ProblemError, ServiceUnavailable
from contract.requests import DescribeRequest, to_multipart
from lambdas.aws.clients import Connect
from lambdas.aws.container import RETRY_LATER_S, RETRY_SOON_S, TIMED_OUT, Host
from lambdas.aws.errors import THROTTLED, botocore_errors_as_problems, code_of, status_of
from lambdas.aws.real_time_endpoint import RealTimeEndpoint
from lambdas.aws.serving_function import ServingFunction

STATUS_AGE_S = 5
"""Everybody may ask for the status, and the account's few DescribeEndpoint calls per second are also a deployment's."""

DESCRIBE_TIMEOUT_S = 2
"""Who asks for the status does not wait for a busy model."""

SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
"""States in which invocations are answered: an update keeps the old fleet until the new one serves."""


def is_function(name: str) -> bool:
    """Whether the name of an endpoint is the ARN of a function that stands for one."""
    return name.startswith("arn:")


class Endpoint:
    """One SageMaker real-time endpoint, or the Lambda function that stands for one.

    Every failure that they are known to have is raised as a ProblemError.
    """

    def __init__(
        self,
        name: str,
        connect: Connect,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        why_absent: Callable[[], ProblemError | None] = lambda: None,
    ) -> None:
        """`name`: the endpoint's, or the ARN of a function. `why_absent` is asked once AWS has said that there is none,
        and at no other time.
        """
        self.name = name.rpartition(":")[2]
        self._host: Host = ServingFunction(name, connect) if is_function(name) else RealTimeEndpoint(name, connect)
        self._why_absent = why_absent
        self._clock_s = clock_s
        self._seen_status = ""
        self._seen_instances = True
        self._seen_at_s = -math.inf
        self._cards: EndpointCards | None = None
        self._described_at_s = -math.inf

    @property
    def max_image_bytes(self) -> int:
        """Of the images of one invocation, all together."""
        return self._host.max_image_bytes

    @property
    def deletion(self) -> str:
        """The command that deletes it."""
        return self._host.deletion

    def invoke(self, content_type: str, body: bytes, attributes: InvocationAttributes) -> tuple[Any, AnswerAttributes]:
        """Send `body` to the container: (its JSON answer, what it says beside it).

        Its stage timings are joined by "endpoint", the whole call as it was seen from here.
        """
        started_s = self._clock_s()
        with self._errors_as_problems(started_s):
            reply = self._host.invoke(content_type, body, attributes.encode())
        try:
            answer, beside = json.loads(reply.content), AnswerAttributes.decode(reply.custom_attributes)
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
                self._seen_status, self._seen_instances = self._host.state()
            self._seen_at_s = self._clock_s()
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
        with botocore_errors_as_problems(self._host.service, ignored=self._host.absent):
            self._host.state()
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

        return botocore_errors_as_problems(self._host.service, problem_of=problem_of)

    def _problem(self, error: Exception, waited_s: float) -> ProblemError | None:
        """What `error` means to a caller; None for what can only be a fault of this code or its permissions."""
        if isinstance(error, ReadTimeoutError):
            return GatewayTimeout(TIMED_OUT)
        if not isinstance(error, ClientError):
            return ServiceUnavailable("the connection to the model was lost: try again", retry_after_s=RETRY_SOON_S)
        if problem := self._host.problem(error, waited_s):
            return problem
        if code_of(error) in THROTTLED:
            return ServiceUnavailable("too many requests reach the model: try again", retry_after_s=RETRY_SOON_S)
        if code_of(error) in self._host.absent:
            return self._why_absent() or ServiceUnavailable(
                f"the endpoint {self.name} is not in service: it is being deployed, or it was deleted",
                retry_after_s=RETRY_LATER_S,
            )
        if status_of(error) >= 500:
            return BadGateway(f"{self._host.service} failed: try again, and quote the request id when asking for help")
        return None
