import pytest
from botocore.exceptions import ConnectionClosedError, IncompleteReadError, ReadTimeoutError

from contract.problems import Conflict, ProblemError, ServiceUnavailable
from lambdas.aws.errors import RETRY_AFTER_S, botocore_errors_as_problems, code_of, message_of, status_of
from tests.lambdas.control_plane import client_error

DENIED = client_error("GetObject", "AccessDenied", "not authorized", 403)


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://s3"),
        ConnectionClosedError(endpoint_url="https://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        client_error("GetObject", "ThrottlingException", "Rate exceeded", 400),
        client_error("GetObject", "SlowDown", "Please reduce your request rate.", 503),
        client_error("PutObject", "SlowDown", "Please reduce your request rate.", 429),
        client_error("PutObject", "RequestTimeout", "Your socket connection was not read within time.", 400),
        client_error("PutObject", "OperationAborted", "A conflicting operation is in progress.", 409),
        client_error("GetObject", "KMS.ThrottlingException", "You have exceeded the rate of KMS.", 400),
        client_error("GetObject", "SomethingNew", "Too many requests", 429),
        client_error("GetObject", "InternalError", "We encountered an internal error.", 500),
    ],
)
def test_what_may_be_over_in_a_moment_is_a_503_that_names_the_service(error: Exception) -> None:
    with pytest.raises(ServiceUnavailable) as raised, botocore_errors_as_problems("the store"):
        raise error
    assert raised.value.detail == "the store did not answer: try again"
    assert raised.value.retry_after_s == RETRY_AFTER_S and raised.value.__cause__ is error


def test_what_only_this_code_can_be_wrong_about_stays_what_it_is() -> None:
    for error in (DENIED, KeyError("a bug")):
        with pytest.raises(type(error)), botocore_errors_as_problems("the store"):
            raise error


def test_an_ignored_code_ends_the_block() -> None:
    with botocore_errors_as_problems("the store", ignored=("AccessDenied",)):
        raise DENIED
    with pytest.raises(ServiceUnavailable), botocore_errors_as_problems("the store", ignored=("AccessDenied",)):
        raise ReadTimeoutError(endpoint_url="https://s3")


def test_who_knows_better_is_asked_first() -> None:
    def problem_of(error: Exception) -> ProblemError | None:
        return Conflict(f"{code_of(error)}: {message_of(error)}") if error is DENIED else None

    asked = botocore_errors_as_problems("the store", problem_of=problem_of)
    with pytest.raises(Conflict, match="AccessDenied: not authorized"), asked:
        raise DENIED
    with pytest.raises(ServiceUnavailable), botocore_errors_as_problems("the store", problem_of=problem_of):
        raise ReadTimeoutError(endpoint_url="https://s3")


def test_without_an_answer_there_is_neither_code_nor_message() -> None:
    silence = ReadTimeoutError(endpoint_url="")
    assert (code_of(silence), message_of(silence), status_of(silence)) == ("", "", 0)
