"""The container as a Lambda function, which runs only while somebody asks."""

import json
from collections.abc import Collection
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from contract.limits import MAX_INLINE_IMAGE_BYTES
from contract.problems import BadGateway, GatewayTimeout, PayloadTooLarge, ProblemError, ServiceUnavailable
from contract.serving_function import MAX_BODY_BYTES, Invocation, Invoked
from lambdas.aws.clients import MODEL_FUNCTION, Connect
from lambdas.aws.container import RETRY_LATER_S, TIMED_OUT, Reply, State, container_problem, stopped
from lambdas.aws.errors import code_of, status_of

_STATUSES = {"Pending": "Creating", "Active": "InService", "Inactive": "InService", "Failed": "Failed"}
"""By Lambda's word, SageMaker's. One that is inactive was asked nothing for weeks, and the next call wakes it:
https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""
_NOT_READY = frozenset({"ResourceConflictException", "ResourceNotReadyException", "CodeArtifactUserPendingException"})
"""It is being made or changed, or wakes after weeks:
https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-images.html"""


class ServingFunction:
    """One function by its ARN, as `Host` says."""

    service = "Lambda"
    absent: Collection[str] = ("ResourceNotFoundException",)
    max_image_bytes = MAX_INLINE_IMAGE_BYTES
    """What callers may send in one request is what reaches the function, with its question beside it."""

    def __init__(self, arn: str, connect: Connect) -> None:
        self._arn = arn
        self._connect = connect
        self.deletion = f"aws lambda delete-function --function-name {arn.rpartition(':')[2]}"

    def invoke(self, content_type: str, body: bytes, attributes: str) -> Reply:
        given = Invocation.of(content_type, attributes, body).model_dump_json().encode()
        response = self._connect(MODEL_FUNCTION).invoke(
            FunctionName=self._arn, InvocationType="RequestResponse", Payload=given
        )
        content = response["Payload"].read()
        if "FunctionError" in response:
            raise _failure(_object(content))
        try:
            invoked = Invoked.model_validate_json(content)
        except ValidationError as error:
            raise BadGateway("the model's answer can't be read: the function runs a foreign or older image") from error
        if invoked.status != 200:
            raise container_problem(invoked.status, _object(invoked.body), 0.0)
        return Reply(invoked.body.encode(), invoked.custom_attributes)

    def state(self) -> State:
        found = self._connect("lambda").get_function_configuration(FunctionName=self._arn)
        status = _STATUSES.get(found["State"], found["State"])
        is_updated = status == "InService" and found.get("LastUpdateStatus") == "InProgress"
        return State("Updating" if is_updated else status)

    def problem(self, error: ClientError, waited_s: float) -> ProblemError | None:
        if status_of(error) == 413:
            return PayloadTooLarge(
                f"Lambda takes no request this large, at most {MAX_BODY_BYTES:,} bytes: shrink the images to 1024 px "
                "on the longer side or send fewer"
            )
        if code_of(error) in _NOT_READY:
            return ServiceUnavailable("the model is being made ready: try again", retry_after_s=RETRY_LATER_S)
        if code_of(error) == "CodeArtifactUserFailedException":
            return BadGateway("Lambda can't run the model's image: make doctor says why")
        return None


def _failure(said: dict[str, Any]) -> ProblemError:
    """What it means that the function ended without an answer, by what Lambda says of it.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html and `errorType` as the runtime API has it
    """
    kind, message = str(said.get("errorType", "")), str(said.get("errorMessage", ""))
    if kind == "Sandbox.Timedout" or "Task timed out" in message:
        return GatewayTimeout(TIMED_OUT)
    if kind == "Function.ResponseSizeTooLarge":
        return PayloadTooLarge(
            "the answer is larger than what Lambda hands back: ask for fewer images or a lower top_k"
        )
    if kind in ("Runtime.ExitError", "Runtime.OutOfMemory"):
        return stopped()
    return BadGateway("the model can't be started: quote the request id when asking for help")


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
