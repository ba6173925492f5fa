"""Step Functions in the emulator: the integration that runs a training job, what a stopped execution leaves running,
and the names of a function's errors."""

import contextvars
import json
import re
from typing import Any

from ministack.services import lambda_svc, stepfunctions

from local.sagemaker import ApiError, Record
from local.training import TrainingJobs

CREATE_TRAINING_JOB = "arn:aws:states:::sagemaker:createTrainingJob"
UNNAMED_ERROR = "Runtime.HandlerError"
"""What ministack calls every exception of a function."""

_execution: contextvars.ContextVar[Record] = contextvars.ContextVar("execution")
"""The execution whose task runs on this thread."""


def extend(jobs: TrainingJobs) -> None:
    """Register the integration in ministack's table, and wrap its functions."""
    stepfunctions._SERVICE_DISPATCH[CREATE_TRAINING_JOB] = _training_job_integration(jobs)
    _know_the_execution_and_end_the_children_of_what_was_stopped()
    _keep_aborted_what_was_aborted()
    _name_errors_after_their_class()


def _training_job_integration(jobs: TrainingJobs) -> Any:
    def create_training_job(resource: str, request: Record) -> Any:
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

    return create_training_job


def _know_the_execution_and_end_the_children_of_what_was_stopped() -> None:
    """A distributed map begins no further task once its own execution has ended; ministack would do them all."""
    inner = stepfunctions._execute_task

    def execute(state: Any, task_input: Any, execution: Record, context: Any) -> Any:
        _execution.set(execution)
        run = stepfunctions._map_runs.get(execution.get("mapRunArn") or "")
        if run and stepfunctions._executions[run["executionArn"]]["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.TaskFailed", "the execution was stopped")
        return inner(state, task_input, execution, context)

    stepfunctions._execute_task = execute


def _keep_aborted_what_was_aborted() -> None:
    """A task that fails after StopExecution would turn ABORTED into FAILED."""
    inner = stepfunctions._fail_execution

    def fail(execution: Record, error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            inner(execution, error, cause)

    stepfunctions._fail_execution = fail


def _name_errors_after_their_class() -> None:
    """Retry and Catch match a Lambda task's error by its exception's class, which ends the traceback in the log."""
    inner = lambda_svc._execute_function_with_config_scope

    def execute(*arguments: Any, **options: Any) -> Any:
        result = inner(*arguments, **options)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == UNNAMED_ERROR:
            text = re.escape(body["errorMessage"])
            if raised := re.search(rf"^(?:\w+\.)*(\w+)(?:: {text})?\s*\Z", result.get("log") or "", re.MULTILINE):
                body["errorType"] = raised[1]
        return result

    lambda_svc._execute_function_with_config_scope = execute
