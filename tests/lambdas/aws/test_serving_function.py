"""The model as a Lambda function: the same answers, and what each of Lambda's failures means to a caller."""

import json
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from contract.invocation import InvocationAttributes
from contract.limits import MAX_INLINE_IMAGE_BYTES
from contract.problems import (
    BadGateway,
    GatewayTimeout,
    ModelStopped,
    PayloadTooLarge,
    ProblemError,
    ServiceUnavailable,
    TooManyRequests,
    UnprocessableImage,
)
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart
from contract.serving_function import MAX_BODY_BYTES
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import infer
from tests.lambdas.sagemaker import FUNCTION_ARN, JPEG_START, ModelFunction, SageMaker

CAT, URL = JPEG_START + b"cat", "https://lambda.us-east-1.amazonaws.com"
QUESTION = ClassifyRequest([CAT], Parameters(candidate_labels=["cat", "dog"]), False)


@pytest.fixture
def function() -> ModelFunction:
    return ModelFunction()


@pytest.fixture
def endpoint(function: ModelFunction) -> Endpoint:
    return Endpoint(FUNCTION_ARN, function.connect)


def ask(endpoint: Endpoint, image: bytes = CAT) -> Any:
    return infer(QUESTION, [image], endpoint, InvocationAttributes("request-1", 7))


def refused(status: int, error_type: str, message: str = "") -> Any:
    return status, error_type, {"Message": message, "message": message}


def test_it_answers_what_an_endpoint_answers(endpoint: Endpoint, function: ModelFunction, sagemaker: SageMaker) -> None:
    scores, beside = ask(endpoint)
    there, beside_there = ask(Endpoint("wordsight-test", sagemaker.connect))
    assert scores == there and function.requests == sagemaker.requests
    assert function.custom_attributes == ["request_id=request-1&deadline_epoch_ms=7"]
    assert (beside.model_version, beside.heads) == (beside_there.model_version, beside_there.heads)
    assert beside.timings_ms["model"] == 3.0 and beside.timings_ms["endpoint"] > 0
    assert endpoint.version() == "tiny@1" and endpoint.cards() is not None


def test_it_is_called_as_the_endpoint_and_not_as_its_arn(endpoint: Endpoint) -> None:
    assert endpoint.name == "wordsight-test"
    assert endpoint.deletion == "aws lambda delete-function --function-name wordsight-test"


def test_a_callers_fault_found_by_the_container_keeps_its_sentence(endpoint: Endpoint) -> None:
    with pytest.raises(UnprocessableImage, match="send a JPEG"):
        ask(endpoint, b"no image")


@pytest.mark.parametrize(
    ("failure", "problem", "sentence"),
    [
        (refused(429, "TooManyRequestsException", "Rate Exceeded."), ServiceUnavailable, "too many requests"),
        (refused(404, "ResourceNotFoundException", "Function not found"), ServiceUnavailable, "not in service"),
        (refused(409, "ResourceConflictException", "state: Pending"), ServiceUnavailable, "being made ready"),
        (refused(502, "ResourceNotReadyException"), ServiceUnavailable, "being made ready"),
        (refused(409, "CodeArtifactUserPendingException"), ServiceUnavailable, "being made ready"),
        (refused(409, "CodeArtifactUserFailedException"), BadGateway, "can't run the model's image"),
        (refused(413, "RequestTooLargeException"), PayloadTooLarge, f"at most {MAX_BODY_BYTES:,} bytes"),
        (refused(500, "ServiceException"), BadGateway, "Lambda failed"),
        (ReadTimeoutError(endpoint_url=URL), GatewayTimeout, "within 22 s"),
        (ConnectTimeoutError(endpoint_url=URL), ServiceUnavailable, "connection to the model was lost"),
    ],
)
def test_what_lambda_refuses_is_a_problem_with_a_sentence(
    endpoint: Endpoint, function: ModelFunction, failure: Any, problem: type[ProblemError], sentence: str
) -> None:
    function.failure = failure
    with pytest.raises(problem, match=sentence) as raised:
        ask(endpoint)
    assert bool(raised.value.retry_after_s) == (problem is ServiceUnavailable)
    assert function.calls == 1, "the model never does the same work twice"


@pytest.mark.parametrize(
    ("died", "problem"),
    [
        ({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out"}, GatewayTimeout),
        ({"errorMessage": "2026-11-29T12:00:00Z 1 Task timed out after 120.00 seconds"}, GatewayTimeout),
        ({"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited: signal: killed"}, ModelStopped),
        ({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": "exceeded 6291556 bytes"}, PayloadTooLarge),
        ({"errorType": "CheckpointError", "errorMessage": "model.safetensors is cut"}, BadGateway),
    ],
)
def test_a_function_that_ends_without_an_answer_says_whether_another_try_may_help(
    endpoint: Endpoint, function: ModelFunction, died: dict[str, str], problem: type[ProblemError]
) -> None:
    function.died = died
    with pytest.raises(problem) as raised:
        ask(endpoint)
    assert died["errorMessage"] not in raised.value.detail, "what the runtime says is for the log"


def test_a_busy_container_is_waited_for(endpoint: Endpoint, function: ModelFunction) -> None:
    busy = TooManyRequests("16 requests wait", retry_after_s=7)
    function.answer = lambda *_: (busy.status, json.dumps(busy.body()), "")  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="16 requests wait") as raised:
        ask(endpoint)
    assert raised.value.retry_after_s == 7


def test_a_foreign_image_is_a_bad_gateway(endpoint: Endpoint, function: ModelFunction) -> None:
    function._clients["lambda, as the model"].meta.events.register("after-call.lambda", _foreign)
    with pytest.raises(BadGateway, match="foreign or older image"):
        ask(endpoint)


def _foreign(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Payload"].read()
    parsed["Payload"] = type("Payload", (), {"read": lambda self: b'{"statusCode": 200}'})()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"State": "Active", "LastUpdateStatus": "Successful"}, "InService"),
        ({"State": "Active", "LastUpdateStatus": "InProgress"}, "Updating"),
        ({"State": "Active", "LastUpdateStatus": "Failed"}, "InService"),
        ({"State": "Inactive"}, "InService"),
    ],
)
def test_its_state_is_told_in_the_words_for_endpoints(
    endpoint: Endpoint, function: ModelFunction, state: dict[str, str], status: str
) -> None:
    function.state = state
    assert endpoint.status() == status and endpoint.exists()


@pytest.mark.parametrize(("state", "status"), [("Pending", "Creating"), ("Failed", "Failed"), ("Deleting", "Deleting")])
def test_one_that_does_not_answer_says_how_it_is(
    endpoint: Endpoint, function: ModelFunction, state: str, status: str
) -> None:
    function.state = {"State": state}
    with pytest.raises(ServiceUnavailable, match=f"wordsight-test is {status}"):
        endpoint.status()


def test_why_there_is_none_is_asked_once_lambda_has_said_so(function: ModelFunction) -> None:
    endpoint = Endpoint(FUNCTION_ARN, function.connect, why_absent=lambda: ServiceUnavailable("it is paused"))
    function.failure = refused(404, "ResourceNotFoundException", "Function not found")
    assert not endpoint.exists()
    for asking in (endpoint.status, endpoint.version):
        with pytest.raises(ServiceUnavailable, match="it is paused"):
            asking()


def test_as_many_images_as_callers_may_send_reach_it_and_more_are_refused_before_they_are_sent(
    endpoint: Endpoint, function: ModelFunction
) -> None:
    assert endpoint.max_image_bytes == MAX_INLINE_IMAGE_BYTES
    most = CAT + bytes(MAX_INLINE_IMAGE_BYTES - len(CAT))
    assert ask(endpoint, most)[0]
    with pytest.raises(PayloadTooLarge, match="shrink the images"):
        endpoint.invoke(*to_multipart(QUESTION, [most, bytes(600_000)]), InvocationAttributes())
    assert function.calls == 1
