"""What the container says of images before they are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lambdas.annotation_store import Inspect
from lambdas.endpoint import Endpoint
from model.contract import (
    PROBLEMS,
    BadGateway,
    Inspection,
    InspectRequest,
    InvocationAttributes,
    ProblemError,
    to_multipart,
)


def inspector(endpoint: Endpoint, attributes: Callable[[], InvocationAttributes]) -> Inspect:
    """Asks `endpoint` with what `attributes` says at that moment. Raises what `Endpoint.invoke` raises."""

    def inspect(images: Sequence[bytes]) -> list[Inspection | ProblemError]:
        answers, _ = endpoint.invoke(*to_multipart(InspectRequest(list(images)), images), attributes())
        if len(answers) != len(images):
            raise BadGateway("the model answered a different number of images than it was sent")
        return [PROBLEMS[each["status"]](each["detail"]) if "status" in each else each for each in answers]

    return inspect
