import pytest
from botocore.exceptions import ClientError

from lambdas.aws.functions import Function
from tests.lambdas.control_plane import Functions, client_error

ARN = "arn:aws:lambda:us-east-1:123456789012:function:teach"


def test_a_function_begins_with_its_event_and_nobody_waits_for_it() -> None:
    functions = Functions()
    assert Function(ARN, lambda service: functions).begin({"labels": ["Größe"]})
    assert functions.begun == [{"labels": ["Größe"]}]


def test_a_silent_lambda_is_told_and_a_missing_permission_raised() -> None:
    functions = Functions()
    functions.silent = True
    assert not Function(ARN, lambda service: functions).begin({})

    class Denying:
        def invoke(self, **_: object) -> None:
            raise client_error("Invoke", "AccessDeniedException", "not authorized", 403)

    with pytest.raises(ClientError):
        Function(ARN, lambda service: Denying()).begin({})
