"""State machines: one construct for all of them, the state that calls a Lambda function, and what follows a failure."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.problems import GatewayTimeout, ModelStopped, ServiceUnavailable
from stacks.config import StageConfig
from stacks.handler_function import HandlerFunction, log_group
from stacks.permissions import Role

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
TRANSIENT = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    # Of one that nobody has asked for weeks: it wakes.
    "Lambda.CodeArtifactUserPendingException",
    # What our functions raise when a service, or the endpoint, can't answer now.
    *(each.__name__ for each in (ServiceUnavailable, ModelStopped, GatewayTimeout)),
)
MAX_ATTEMPTS = 6


class Machine(sfn.StateMachine):
    """A state machine, logged and traced, that begins with the state `start` and may call `functions`.

    Its log group's name says where it is in the app. Step Functions adds every log group to one resource policy of
    CloudWatch Logs, of at most 5,120 characters for all machines of an account, unless its name has the prefix
    /aws/vendedlogs/. https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: StageConfig,
        start: sfn.IChainable,
        functions: Sequence[HandlerFunction],
        role: Role | None = None,
        timeout_s: int | None = None,
    ) -> None:
        """`role`: one that may already do what the states need beside the functions."""
        role = role or machine_role(scope, id)
        role.allow(["lambda:InvokeFunction"], *(function.function_arn for function in functions))
        log = log_group(scope, f"{id}Logs", config, name=f"/aws/vendedlogs/states/{scope.node.path}/{id}")
        super().__init__(
            scope,
            id,
            definition_body=sfn.DefinitionBody.from_chainable(start),
            role=role,
            timeout=Duration.seconds(timeout_s) if timeout_s else None,
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL, include_execution_data=True),
        )
        # Deleting the machine waits for its executions, which still need what the role's policy grants.
        self.node.add_dependency(role)

    @property
    def executions_arn(self) -> str:
        """The ARN pattern of its executions."""
        return Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self.state_machine_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )


def machine_role(scope: Construct, id: str) -> Role:
    """The role of the machine `id`."""
    role = Role(scope, f"{id}Role", service="states")
    role.wildcards["*"] = "log delivery, X-Ray and sagemaker:ListTags know no resources, as Step Functions documents"
    return role


def call(
    scope: Construct,
    id: str,
    function: HandlerFunction,
    payload: Mapping[str, Any],
    result_path: str,
    *,
    caught: sfn.IChainable | None = None,
    retries_of_any_failure: int = 0,
) -> sfn.CustomState:
    """Call `function` with `payload`; what passes by itself is tried again for about two minutes.

    A function that goes on where it was killed may also be called again after any failure. What fails in the end is
    `caught`. The state is raw JSON: the library's own task would let the state machine call every version of the
    function, and none is published.
    """
    transient = {"ErrorEquals": [*TRANSIENT], "IntervalSeconds": 2, "MaxAttempts": MAX_ATTEMPTS, "BackoffRate": 2}
    any_failure = {"ErrorEquals": ["States.ALL"], "MaxAttempts": retries_of_any_failure}
    state = {
        "Type": "Task",
        "Resource": function.function_arn,
        "Parameters": dict(payload),
        "ResultPath": result_path,
        "Retry": [transient, any_failure] if retries_of_any_failure else [transient],
    }
    task = sfn.CustomState(scope, id, state_json=state)
    if caught is not None:
        catch(task, caught)
    return task


def catch(state: sfn.CustomState | sfn.DistributedMap, then: sfn.IChainable) -> None:
    """Go on with `then` after any failure of `state`; its name and cause are at `$.error`."""
    state.add_catch(then, errors=["States.ALL"], result_path="$.error")


def read_fault(scope: Construct, then: sfn.IChainable, otherwise: sfn.IChainable) -> sfn.Choice:
    """After a Catch: `then` finds Lambda's description of the error at `$.fault.raised`.

    The cause is JSON with an errorMessage if the function raised or was stopped, else a sentence: `otherwise`.
    """
    described = {"raised.$": "States.StringToJson($.error.Cause)"}
    read = sfn.Pass(scope, "ReadStepFault", parameters=described, result_path="$.fault")
    return (
        sfn.Choice(scope, "HasStepFault")
        .when(sfn.Condition.string_matches("$.error.Cause", '*"errorMessage":*'), read.next(then))
        .otherwise(otherwise)
    )
