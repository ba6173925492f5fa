"""How a training is, put together from those who know: Step Functions, SageMaker, the registry and the promotion.

Nothing is stored for this: what each of them says at the moment is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.executions import may_begin
from model.resources.models import ENDED, Gate, Model, Promotion
from model.resources.trainings import STEP_METRIC, STEPS_METRIC, Training, TrainingState, TrainingView

FORGOTTEN = "nothing is known of it any more: it never began, or ended more than 90 days ago; start another"
NOT_COMPARED = (
    "it passed, but was not promoted: another model than its base is live by now, with which it was not compared; "
    "POST /models/{version}/promote lets it go live all the same"
)

Description = Mapping[str, Any]


def view(
    training: Training,
    execution: Description | None,
    job: Description | None,
    model: Model | None,
    promotion: Promotion | None,
) -> TrainingView:
    """What GET /trainings/{id} answers."""
    state, reason = _state(training, execution, job, model, promotion)
    metrics = {each["MetricName"]: float(each["Value"]) for each in (job or {}).get("FinalMetricDataList") or []}
    step, steps = metrics.pop(STEP_METRIC, None), metrics.pop(STEPS_METRIC, None)
    return TrainingView(
        **training.model_dump(),
        state=state,
        status=job["SecondaryStatus"] if job else None,
        step=None if step is None else int(step),
        steps=None if steps is None else int(steps),
        metrics=metrics,
        gate=model.gate if model else None,
        promotion=promotion,
        reason=reason,
    )


def _state(
    training: Training,
    execution: Description | None,
    job: Description | None,
    model: Model | None,
    promotion: Promotion | None,
) -> tuple[TrainingState, str | None]:
    if model and model.gate:
        return _after_the_gate(model.gate, promotion, training.promote)
    if execution is None:
        return ("queued", None) if may_begin(training.created) else ("failed", FORGOTTEN)
    if execution["status"] == "RUNNING":
        return _running(job), None
    cause = execution.get("cause") or f"its execution ended as {execution['status']}"
    stopped = execution["status"] == "ABORTED" or (job or {}).get("SecondaryStatus") == "Stopped"
    return "stopped" if stopped else "failed", cause


def _after_the_gate(gate: Gate, promotion: Promotion | None, promote: str) -> tuple[TrainingState, str | None]:
    if not gate.passed:
        return "refused", "; ".join(gate.reasons)
    if promotion is None:
        return "done", NOT_COMPARED if promote == "auto" else None
    if promotion.state not in ENDED:
        return "promoting", None
    return "done", promotion.reason


def _running(job: Description | None) -> TrainingState:
    if job is None:
        return "snapshot"
    return "gating" if job["TrainingJobStatus"] == "Completed" else "training"
