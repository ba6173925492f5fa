import json

import pytest

from lambdas.aws.executions import cause_of


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"Error": "BadGateway", "Cause": json.dumps({"errorMessage": "no such model"})}, "no such model"),
        ({"Error": "Lambda.Unknown", "Cause": "the function was killed"}, "the function was killed"),
        ({"Error": "States.Runtime", "Cause": "[]"}, "[]"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
    ],
)
def test_a_failed_state_is_told_of_in_words(error: dict[str, str], cause: str) -> None:
    assert cause_of(error) == cause
