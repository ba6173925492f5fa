"""The container behind a real-time endpoint of SageMaker's."""

import json
from collections.abc import Collection
from typing import Any

from botocore.exceptions import ClientError

from contract.limits import MAX_INVOCATION_BYTES
from contract.problems import PayloadTooLarge, ProblemError, ServiceUnavailable
from lambdas.aws.clients import Connect
from lambdas.aws.container import RETRY_SOON_S, Reply, State, container_problem
from lambdas.aws.errors import code_of, message_of, status_of

_UNAVAILABLE = frozenset({"ModelNotReadyException", "ServiceUnavailable", "ServiceUnavailableException"})


class RealTimeEndpoint:
    """One endpoint by its name, as `Host` says."""

    service = "SageMaker"
    absent: Collection[str] = ("ValidationError", "ValidationException")
    max_image_bytes = MAX_INVOCATION_BYTES

    def __init__(self, name: str, connect: Connect) -> None:
        self._name = name
        self._connect = connect
        self.deletion = f"aws sagemaker delete-endpoint --endpoint-name {name}"

    def invoke(self, content_type: str, body: bytes, attributes: str) -> Reply:
        response = self._connect("sagemaker-runtime").invoke_endpoint(
            EndpointName=self._name,
            ContentType=content_type,
            Accept="application/json",
            CustomAttributes=attributes,
            Body=body,
        )
        return Reply(response["Body"].read(), response.get("CustomAttributes"))

    def state(self) -> State:
        description = self._connect("sagemaker").describe_endpoint(EndpointName=self._name)
        variants = description.get("ProductionVariants", [])
        has_instances = not variants or any(each.get("CurrentInstanceCount", 1) for each in variants)
        return State(description["EndpointStatus"], has_instances)

    def problem(self, error: ClientError, waited_s: float) -> ProblemError | None:
        code, message = code_of(error), message_of(error).lower()
        if code == "ModelError":
            return container_problem(int(error.response.get("OriginalStatusCode") or 0), _said(error), waited_s)
        if status_of(error) == 413 or "oversize body" in message or "length less than" in message:
            return PayloadTooLarge(
                "SageMaker takes no request this large: shrink the images to 1024 px on the longer side or send fewer"
            )
        if code in _UNAVAILABLE:
            return ServiceUnavailable("the model is not ready: try again", retry_after_s=RETRY_SOON_S)
        return None


def _said(error: ClientError) -> dict[str, Any]:
    try:
        said = json.loads(str(error.response.get("OriginalMessage", "")))
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}
