"""A state that calls a Lambda function, and what becomes of its failures.

Raw JSON: the library's own task would let the state machine call every version of the function, and none is published.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.handler_function import HandlerFunction

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
TRANSIENT = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)
SILENCE = ("ServiceUnavailable", "GatewayTimeout")
"""What our functions raise when a service, or the endpoint, can't answer now: names of contract/requests.py."""
MAX_ATTEMPTS = 6
INTERVAL_S = 2
BACKOFF_RATE = 2


def lambda_task(
    scope: Construct,
    id: str,
    function: HandlerFunction,
    payload: Mapping[str, Any],
    result_path: str,
    retries_of_any_failure: int = 0,
) -> sfn.CustomState:
    """Call `function` with `payload`; what passes by itself is tried again for about two minutes.

    A function that goes on where it was killed may also be called again after any failure.
    """
    silent = {
        "ErrorEquals": [*TRANSIENT, *SILENCE],
        "IntervalSeconds": INTERVAL_S,
        "MaxAttempts": MAX_ATTEMPTS,
        "BackoffRate": BACKOFF_RATE,
    }
    any_failure = {"ErrorEquals": ["States.ALL"], "MaxAttempts": retries_of_any_failure}
    return sfn.CustomState(
        scope,
        id,
        state_json={
            "Type": "Task",
            "Resource": function.function_arn,
            "Parameters": dict(payload),
            "ResultPath": result_path,
            "Retry": [silent, any_failure] if retries_of_any_failure else [silent],
        },
    )


def allow_calls(role: iam.Role, functions: Sequence[HandlerFunction]) -> None:
    """Let a state machine's role call `functions`."""
    arns = [function.function_arn for function in functions]
    role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=arns))


def read_fault(scope: Construct, id: str, then: sfn.IChainable, otherwise: sfn.IChainable) -> sfn.Choice:
    """After a Catch into `$.error`: `then` finds Lambda's description of the error at `$.fault.raised`.

    Its cause is JSON with an errorMessage if the function raised or was stopped, else a sentence: `otherwise`.
    """
    read = sfn.Pass(
        scope,
        f"Read{id}Fault",
        parameters={"raised.$": "States.StringToJson($.error.Cause)"},
        result_path="$.fault",
    )
    return (
        sfn.Choice(scope, f"Has{id}Fault")
        .when(sfn.Condition.string_matches("$.error.Cause", '*"errorMessage":*'), read.next(then))
        .otherwise(otherwise)
    )
