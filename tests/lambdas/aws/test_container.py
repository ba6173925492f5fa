"""What the container's own failures mean to a caller, whoever hands them on."""

import pytest

from contract.limits import CONTAINER_TIMEOUT_S
from contract.problems import (
    BadGateway,
    BadRequest,
    GatewayTimeout,
    ModelStopped,
    ProblemError,
    ServiceUnavailable,
    UnknownHeads,
    UnprocessableImage,
)
from lambdas.aws.container import container_problem

HEAD = "a" * 64


@pytest.mark.parametrize(
    ("status", "said", "waited_s", "problem"),
    [
        (422, UnprocessableImage("cut").body(), 0, UnprocessableImage),
        (UnknownHeads.status, UnknownHeads([HEAD]).body(), 0, UnknownHeads),
        (400, BadRequest("odd").body(), 0, BadRequest),
        (400, {}, 0, BadGateway),
        (405, {"detail": "a foreign server"}, 0, BadGateway),
        (429, {}, 0, ServiceUnavailable),
        (504, {}, 0, GatewayTimeout),
        (0, {}, CONTAINER_TIMEOUT_S - 1, ModelStopped),
        (0, {}, CONTAINER_TIMEOUT_S, GatewayTimeout),
        (500, {"detail": "index 3 out of range"}, 0, BadGateway),
    ],
)
def test_a_status_with_what_is_said_is_a_problem(
    status: int, said: dict[str, object], waited_s: float, problem: type[ProblemError]
) -> None:
    found = container_problem(status, said, waited_s)
    assert type(found) is problem
    assert "index 3" not in found.detail
