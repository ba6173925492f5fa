"""What the operator of a stage looks at, and what rings: figures of CloudWatch, each written once.

`stacks/operations.py` makes the dashboard and the alarms from it, `make local-status` shows the same figures, and
docs/operate.md says of each alarm what to do.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
"""

from dataclasses import dataclass
from typing import Literal

from contract.endpoint import WAIT_LIMIT_S

Of = Literal["api", "endpoint", "model function", "function", "machine"]
"""Whose figure it is: of the whole API, of what runs the model, an endpoint or a function, or of each function that is
called from outside of a state machine, the model's among them, or of each state machine."""

ABSENT: dict[str, Of] = {"endpoint": "model function", "lambda": "endpoint"}
"""By what runs the model (`serving` of stacks/config.py), what such a stage has not."""


@dataclass(frozen=True)
class Figure:
    """One metric with a statistic, as CloudWatch spells both."""

    title: str
    of: Of
    namespace: str
    metric: str
    statistic: str = "Sum"
    unit: Literal["", "ms", "µs", "%"] = ""


def _api(title: str, metric: str) -> Figure:
    return Figure(title, "api", "AWS/ApiGateway", metric)


def _executions(title: str, metric: str) -> Figure:
    return Figure(title, "machine", "AWS/States", metric)


_INSTANCES = "/aws/sagemaker/Endpoints"

REQUESTS, REFUSED, FAULTS = (
    _api("requests", "Count"),
    _api("refused (4xx)", "4XXError"),
    _api("failed (5xx)", "5XXError"),
)
INVOCATIONS = Figure("invocations", "endpoint", "AWS/SageMaker", "Invocations")
MODEL_FAULTS = Figure("faults (5xx)", "endpoint", "AWS/SageMaker", "Invocation5XXErrors")
FUNCTION_ERRORS = Figure("without an answer", "function", "AWS/Lambda", "Errors")
FUNCTION_THROTTLES = Figure("throttled", "function", "AWS/Lambda", "Throttles")
SUCCEEDED, FAILED = _executions("succeeded", "ExecutionsSucceeded"), _executions("failed", "ExecutionsFailed")
TIMED_OUT, STOPPED = _executions("timed out", "ExecutionsTimedOut"), _executions("stopped", "ExecutionsAborted")
RUNNING = Figure("at once", "model function", "AWS/Lambda", "ConcurrentExecutions", "Maximum")
MODEL_CALLS = Figure("calls", "model function", "AWS/Lambda", "Invocations")
REPORTS = Figure("minutes in which an instance reported", "endpoint", _INSTANCES, "CPUUtilization", "SampleCount")

PANELS = {
    "Requests": (REQUESTS, REFUSED, FAULTS),
    "What callers waited": tuple(
        Figure(percentile, "api", "AWS/ApiGateway", "Latency", percentile, "ms") for percentile in ("p50", "p99")
    ),
    "The model": (INVOCATIONS, MODEL_FAULTS),
    "The model's function": (MODEL_CALLS, RUNNING),
    "What the model took": tuple(
        Figure(percentile, "endpoint", "AWS/SageMaker", "ModelLatency", percentile, "µs")
        for percentile in ("p50", "p99")
    ),
    "What the model's function took": tuple(
        Figure(percentile, "model function", "AWS/Lambda", "Duration", percentile, "ms")
        for percentile in ("p50", "p99")
    ),
    "Functions": (FUNCTION_ERRORS, FUNCTION_THROTTLES),
    "Executions": (SUCCEEDED, FAILED, TIMED_OUT, STOPPED),
    "The endpoint's instances": tuple(
        Figure(title, "endpoint", _INSTANCES, metric, "Average", "%")
        for title, metric in (("processor", "CPUUtilization"), ("memory", "MemoryUtilization"))
    ),
}
"""The dashboard, from top to bottom; a stage has what is of something that it has."""


@dataclass(frozen=True)
class Alarm:
    """Rings when the sum of its figures, over all that they are of, is at least, or less than, `threshold` for a time.

    Of figures of state machines there is one for each of them.
    """

    id: str
    figures: tuple[Figure, ...]
    threshold: float
    minutes: int
    means: str
    remedy: str
    """What to do, in the imperative. {stage} is filled in."""
    when: Literal["at least", "less than"] = "at least"
    """With "less than" it rings as well where there are no data."""


SILENT = "EndpointSilent"
"""The alarm that pauses and resumes switch off and on."""


def alarm_name(stage_name: str, id: str) -> str:
    """What CloudWatch calls it; `stage_name` as the endpoint's."""
    return f"{stage_name}-{id}"


ALARMS = (
    Alarm(
        "ApiFaults",
        (FAULTS,),
        5,
        5,
        "Five or more requests in five minutes were answered with a 5xx.",
        "Ask make doctor STAGE={stage}; the functions' logs name the cause by request id. A stage that is paused "
        "answers 503 on purpose.",
    ),
    Alarm(
        "FunctionErrors",
        (FUNCTION_ERRORS,),
        1,
        5,
        "A function that callers wait for, the model's among them, or the one that teaches tasks, ended without an "
        "answer: it ran out of time or memory, or its code could not be loaded.",
        "Look at the dashboard which one, and at the end of its log group. If it began with a deployment, deploy what "
        "was there before.",
    ),
    Alarm(
        "FunctionThrottles",
        (FUNCTION_THROTTLES,),
        1,
        5,
        "Lambda refused to run a function, because too many of the account's run at once, or of the model's more than "
        "function_concurrency: callers saw a 429 or 5xx.",
        "Ask for more concurrency, which make preflight STAGE={stage} has the command for, or lower throttling_burst "
        "and batch_concurrency.",
    ),
    Alarm(
        "ExecutionFailed",
        (FAILED, TIMED_OUT),
        1,
        5,
        "An execution of this state machine failed or took too long.",
        "Ask make doctor STAGE={stage}, or the training, batch, import or model by the API: each says why in a "
        "sentence. A batch goes on with POST /batches/<id>/resume. A resume by office_hours was tried again for "
        f"{WAIT_LIMIT_S // 3600} hours if AWS had no instance free: make resume STAGE={{stage}} tries once more.",
    ),
    Alarm(
        SILENT,
        (REPORTS,),
        1,
        15,
        "No instance of the endpoint has reported for 15 minutes: it is gone, or not in service. Nobody is told while "
        "the stage is paused.",
        "Ask make doctor STAGE={stage}; make deploy STAGE={stage} brings it back.",
        when="less than",
    ),
)
"""What rings, as far as a stage has what it is of. The serving stack of an endpoint has two more, which also roll a bad
update back: ServerFaults and SlowAnswers."""
