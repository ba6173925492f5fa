"""Step Functions in the emulator: the integration that runs a training job, what a stopped execution leaves running,
and the names of a function's errors. The functions that wrap ministack's have the wrapped one as their `inner`."""

import contextvars
import json
import re
from functools import partial
from typing import Any

from ministack.services import lambda_svc, stepfunctions

from local.permissions import Denied, Permissions
from local.sagemaker import ApiError, Record
from local.training import TrainingJobs

_CREATE_TRAINING_JOB = "arn:aws:states:::sagemaker:createTrainingJob"

WAIT_SHARE = 0.1
"""How long a Wait state lasts, of what it says: nothing takes as long here as what state machines wait for on AWS."""

UNNAMED_ERROR = "Runtime.HandlerError"
"""What ministack calls every exception of a function."""

_execution: contextvars.ContextVar[Record] = contextvars.ContextVar("execution")
"""The execution whose task runs on this thread."""


def extend(jobs: TrainingJobs, permissions: Permissions) -> None:
    """Register the integration in ministack's table, and wrap its functions, which act with a machine's role."""
    integration = partial(_create_training_job, jobs)
    stepfunctions._SERVICE_DISPATCH[_CREATE_TRAINING_JOB] = integration
    stepfunctions._execute_task = partial(_execute_task, stepfunctions._execute_task)
    stepfunctions._invoke_resource = partial(_invoke_resource, stepfunctions._invoke_resource, permissions)
    stepfunctions._run_map_items = partial(_run_map_items, stepfunctions._run_map_items, permissions)
    stepfunctions._execute_wait = partial(_execute_short_wait, stepfunctions._execute_wait)
    stepfunctions._fail_execution = partial(_fail_execution, stepfunctions._fail_execution)
    lambda_svc._execute_function_with_config_scope = partial(
        _name_error_after_its_class, lambda_svc._execute_function_with_config_scope
    )


def _create_training_job(jobs: TrainingJobs, resource: str, request: Record) -> Record:
    execution = _execution.get()
    try:
        if not resource.endswith(".sync"):
            return jobs.create(request)
        # StopExecution ends the job that its state waits for.
        job = jobs.run(request, lambda: execution["status"] == "RUNNING")
    except ApiError as error:
        raise stepfunctions._ExecutionError("SageMaker.AmazonSageMakerException", error.message) from None
    if job["TrainingJobStatus"] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(job))
    return job


def _invoke_resource(inner: Any, permissions: Permissions, resource: str, request: Record) -> Any:
    """One task, if the machine's role may do it."""
    role = _machine_of(_execution.get())["roleArn"]
    try:
        if ":lambda:" in resource:
            permissions.imply("a state invokes a function", role, function_arn=resource)
        elif resource.startswith("arn:aws:states:::states:startExecution"):
            permissions.imply("a state starts an execution", role, machine_arn=request["StateMachineArn"])
        elif resource == "arn:aws:states:::aws-sdk:sfn:listExecutions":
            permissions.imply("a state lists executions", role, machine_arn=request["StateMachineArn"])
        elif resource.startswith(_CREATE_TRAINING_JOB):
            job, job_role = request["TrainingJobName"], request["RoleArn"]
            permissions.imply("a state runs a training job", role, job=job, job_role_arn=job_role)
        else:
            raise Denied(f"Local mode does not know what a role needs for {resource}.")
    except Denied as denied:
        raise stepfunctions._ExecutionError("States.TaskFailed", str(denied)) from None
    return inner(resource, request)


def _run_map_items(
    inner: Any, permissions: Permissions, state: Record, given: Any, execution: Record, context: Any
) -> Any:
    """A distributed map starts, watches and stops executions of its own machine."""
    if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        machine = _machine_of(execution)
        arn = machine["stateMachineArn"]
        known = {"machine_arn": arn, "executions_arn": arn.replace(":stateMachine:", ":execution:")}
        try:
            permissions.imply("a distributed map runs", machine["roleArn"], **known, label=state["Label"])
        except Denied as denied:
            raise stepfunctions._ExecutionError("States.TaskFailed", str(denied)) from None
    return inner(state, given, execution, context)


def _execute_short_wait(inner: Any, state: Record, *others: Any, **more: Any) -> Any:
    if "Seconds" in state:
        state = {**state, "Seconds": state["Seconds"] * WAIT_SHARE}
    return inner(state, *others, **more)


def _machine_of(execution: Record) -> Record:
    """A map's child execution names its machine as `<machine>/<label>`."""
    machine: Record = stepfunctions._state_machines[execution["stateMachineArn"].partition("/")[0]]
    return machine


def _execute_task(inner: Any, state: Any, task_input: Any, execution: Record, context: Any) -> Any:
    """A distributed map begins no further task once its own execution has ended; ministack would do them all."""
    _execution.set(execution)
    run = stepfunctions._map_runs.get(execution.get("mapRunArn") or "")
    if run and stepfunctions._executions[run["executionArn"]]["status"] != "RUNNING":
        raise stepfunctions._ExecutionError("States.TaskFailed", "the execution was stopped")
    return inner(state, task_input, execution, context)


def _fail_execution(inner: Any, execution: Record, error: str, cause: str) -> None:
    """A task that fails after StopExecution would turn ABORTED into FAILED."""
    if execution["status"] == "RUNNING":
        inner(execution, error, cause)


def _name_error_after_its_class(inner: Any, *arguments: Any, **options: Any) -> Any:
    """Retry and Catch match a Lambda task's error by its exception's class, which ends the traceback in the log."""
    result = inner(*arguments, **options)
    body = result.get("body")
    if result.get("error") and isinstance(body, dict) and body.get("errorType") == UNNAMED_ERROR:
        text = re.escape(body["errorMessage"])
        if raised := re.search(rf"^(?:\w+\.)*(\w+)(?:: {text})?\s*\Z", result.get("log") or "", re.MULTILINE):
            body["errorType"] = raised[1]
    return result
