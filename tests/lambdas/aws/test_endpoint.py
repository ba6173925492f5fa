"""What each failure of SageMaker means to a caller, from the HTTP response or transport error that botocore meets."""

import json
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
    SSLError,
)

from contract.invocation import InvocationAttributes
from contract.limits import CONTAINER_TIMEOUT_S
from contract.problems import (
    BadRequest,
    GatewayTimeout,
    InternalError,
    ModelStopped,
    ProblemError,
    ServiceUnavailable,
    TooManyRequests,
    UnprocessableImage,
    UnsupportedMediaType,
)
from lambdas.aws.endpoint import STATUS_AGE_S, Endpoint
from tests.lambdas.conftest import Call
from tests.lambdas.gateway import event
from tests.lambdas.sagemaker import SageMaker, model_error_members

URL = "https://runtime.sagemaker.us-east-1.amazonaws.com"


def from_container(problem: ProblemError) -> Any:
    return 424, "ModelError", model_error_members(problem.status, json.dumps(problem.body()))


def from_container_as_text(status: int, text: str) -> Any:
    return 424, "ModelError", model_error_members(status, text)


def refused(status: int, error_type: str, message: str = "") -> Any:
    return status, error_type, {"Message": message, "message": message}


@pytest.mark.parametrize(
    "problem", [BadRequest("label 3 is odd"), UnprocessableImage("cut"), UnsupportedMediaType("HEIC")]
)
def test_a_callers_fault_found_by_the_container_keeps_its_status_and_sentence(
    call: Call, sagemaker: SageMaker, problem: ProblemError
):
    sagemaker.failure = from_container(problem)
    answer = call(event("classify_raw"))
    assert (answer.status, answer.detail) == (problem.status, problem.detail)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "failure, status, retry, sentence",
    [
        # the container is busy, late or broken
        (from_container(TooManyRequests("16 requests wait", retry_after_s=7)), 503, "7", "16 requests wait"),
        (from_container(ServiceUnavailable("still loading")), 503, "2", "still loading"),
        (from_container(GatewayTimeout("stopped at 20 s")), 504, None, "stopped at 20 s"),
        (from_container(InternalError("index 3 out of range")), 502, None, "the model failed"),
        (from_container_as_text(500, "<h1>Traceback</h1>"), 502, None, "the model failed"),
        (from_container_as_text(503, "no worker"), 503, "2", "the model is busy"),
        (from_container_as_text(400, "not a problem of ours"), 502, None, "the model failed"),
        (from_container_as_text(405, '{"detail": "a foreign server"}'), 502, None, "the model failed"),
        (from_container_as_text(0, "the connection broke"), 503, "2", "the model stopped at this request"),
        # there is no endpoint, or not yet
        (
            refused(400, "ValidationError", "Endpoint wordsight-test of account 1 not found."),
            503,
            "30",
            "not in service",
        ),
        # SageMaker refuses
        (refused(413, "413", "HTTP content length exceeded 26214400 bytes."), 413, None, "1024 px"),
        (refused(400, "ValidationError", "Request 1 has oversize body."), 413, None, "1024 px"),
        (
            refused(400, "ValidationError", "Value at 'body' failed: Member must have length less than or equal to 9"),
            413,
            None,
            "1024 px",
        ),
        (refused(400, "ThrottlingException", "Rate exceeded"), 503, "2", "too many requests"),
        (refused(429, "ModelNotReadyException", "Cold start"), 503, "2", "not ready"),
        (refused(503, "ServiceUnavailable"), 503, "2", "not ready"),
        (refused(500, "InternalFailure"), 502, None, "SageMaker failed"),
        (refused(530, "InternalDependencyException"), 502, None, "SageMaker failed"),
        # only this code or its permissions can be wrong
        (refused(403, "AccessDeniedException", "User role/wordsight is not authorized"), 500, None, "on our side"),
        (KeyError("a bug"), 500, None, "on our side"),
        # the way there
        (ReadTimeoutError(endpoint_url=URL), 504, None, "within 22 s"),
        (ConnectTimeoutError(endpoint_url=URL), 503, "2", "connection to the model was lost"),
        (ConnectionClosedError(endpoint_url=URL), 503, "2", "connection to the model was lost"),
        (EndpointConnectionError(endpoint_url=URL), 503, "2", "connection to the model was lost"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), 503, "2", "connection to the model was lost"),
        (SSLError(endpoint_url=URL, error="handshake"), 503, "2", "connection to the model was lost"),
    ],
)
def test_a_failure_has_its_status_its_retry_after_and_a_sentence(
    call: Call, sagemaker: SageMaker, failure: Any, status: int, retry: str | None, sentence: str
):
    sagemaker.failure = failure
    answer = call(event("classify_raw"))
    assert answer.status == status
    assert sentence in answer.detail
    assert answer.headers.get("retry-after") == retry
    assert answer.json.get("retry_after_s") == (int(retry) if retry else None)
    assert "wordsight is not authorized" not in answer.text and "Traceback" not in answer.text


@pytest.mark.parametrize("failure", [ReadTimeoutError(endpoint_url=URL), refused(503, "ServiceUnavailable")])
def test_the_model_never_does_the_same_work_twice(call: Call, sagemaker: SageMaker, failure: Any):
    sagemaker.failure = failure
    call(event("classify_raw"))
    assert sagemaker.calls == 1


@pytest.mark.parametrize(
    ("waited_s", "problem"), [(0.4, ModelStopped), (CONTAINER_TIMEOUT_S - 1, ModelStopped), (60, GatewayTimeout)]
)
def test_a_container_that_never_answered_was_slow_or_died_which_the_clock_tells(
    sagemaker: SageMaker, waited_s: float, problem: type[ProblemError]
):
    times = iter([100.0, 100.0 + waited_s])
    endpoint = Endpoint("wordsight-test", sagemaker.connect, clock_s=lambda: next(times))
    sagemaker.failure = from_container_as_text(0, "Your invocation timed out while waiting for a response")
    with pytest.raises(problem) as raised:
        endpoint.invoke("image/jpeg", b"x", InvocationAttributes())
    assert bool(raised.value.retry_after_s) == (problem is ModelStopped)


def test_an_endpoint_of_a_foreign_image_is_a_bad_gateway(call: Call, sagemaker: SageMaker):
    client = sagemaker.client("sagemaker-runtime")
    client.meta.events.register("after-call.sagemaker-runtime", _not_json)
    answer = call(event("classify_raw"))
    assert answer.status == 502 and "foreign or broken image" in answer.detail


def test_so_is_one_whose_attributes_are_not_ours(call: Call, sagemaker: SageMaker):
    client = sagemaker.client("sagemaker-runtime")
    client.meta.events.register("after-call.sagemaker-runtime", _foreign_attributes)
    answer = call(event("classify_raw"))
    assert answer.status == 502 and "foreign or broken image" in answer.detail


def _foreign_attributes(parsed: dict[str, Any], **_: Any) -> None:
    parsed["CustomAttributes"] = "truncated_prompts=many"


def test_the_status_is_asked_for_again_only_after_some_seconds(sagemaker: SageMaker):
    now_s = 100.0
    endpoint = Endpoint("wordsight-test", sagemaker.connect, clock_s=lambda: now_s)
    assert [endpoint.status() for _ in range(3)] == ["InService"] * 3
    assert sagemaker.calls == 1
    sagemaker.endpoint_status = "Failed"
    now_s += STATUS_AGE_S
    for _ in range(3):
        with pytest.raises(ServiceUnavailable, match="Failed"):
            endpoint.status()
    assert sagemaker.calls == 2


def test_an_endpoint_of_which_no_instance_is_left_does_not_answer(sagemaker: SageMaker):
    sagemaker.instances = 0
    with pytest.raises(ServiceUnavailable, match="is InService, and none of its instances is"):
        Endpoint("wordsight-test", sagemaker.connect).status()


def _not_json(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Body"].read()
    parsed["Body"] = type("Empty", (), {"read": lambda self: b"<html>"})()


def test_why_there_is_none_is_asked_once_sagemaker_has_said_so(sagemaker: SageMaker):
    asked: list[int] = []

    def why() -> ProblemError:
        asked.append(1)
        return ServiceUnavailable("it was deleted on purpose")

    endpoint = Endpoint("wordsight-test", sagemaker.connect, why_absent=why)
    assert endpoint.status() == "InService" and endpoint.exists() and not asked
    sagemaker.failure = refused(400, "ValidationException", "Could not find endpoint")
    assert not endpoint.exists() and not asked
    with pytest.raises(ServiceUnavailable, match="on purpose"):
        endpoint.version()
    assert asked == [1]
