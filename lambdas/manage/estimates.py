"""How long a training takes and what that costs, as earlier ones of the stage tell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract import schedule
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from contract.models import Model
from contract.trainings import IMAGES_PER_S_METRIC, STEPS_METRIC, Training, training_ids, training_key
from lambdas.aws.clients import concurrently
from lambdas.aws.executions import TrainingJobs
from lambdas.aws.s3 import Store
from lambdas.settings import ManageSettings
from lambdas.stored.registry import Registry

LOOKED_AT = 8
"""Of the newest trainings: one of these has ended, or none is asked."""
AROUND_THE_STEPS_S = 600
"""What a machine is assumed to need before the first step and behind the last one, where none was measured."""


@dataclass(frozen=True)
class Estimate:
    """`source` says what it is made from. `usd`: None where the price is not known."""

    steps: int
    images_per_step: int
    seconds: int
    source: str

    def usd(self, usd_per_hour: float, max_runtime_s: int) -> float | None:
        """The price of that, or of as much as is allowed; None where the price of an hour is not known."""
        return round(min(self.seconds, max_runtime_s) / 3600 * usd_per_hour, 2) if usd_per_hour else None


class Estimates:
    """Of the trainings of one stage."""

    def __init__(self, settings: ManageSettings, data: Store, registry: Registry, jobs: TrainingJobs) -> None:
        self._settings, self._data, self._registry, self._jobs = settings, data, registry, jobs

    def of(
        self, asked: Hyperparameters, images: int, base: Model | None, base_s3_uri: str, *, has_reference: bool = False
    ) -> Estimate:
        """Of a training on so many images that begins with a base; None: what is there is not registered."""
        earlier = next(self._ended(), None)
        learnt_from_world = base is not None and Metrics.of(base.metrics).learnt_from_world
        if base and not base.metrics and earlier and earlier[0].base_s3_uri == base_s3_uri:
            made = self._registry.find(earlier[0].version)
            learnt_from_world = made is not None and (Metrics.of(made.metrics).replay_share or 0) > 0
        images = asked.world_images if asked.data == "world" else images
        replayed = schedule.replay_share(asked, learnt_from_world)
        if asked.strategy != "projection":  # of which only new images are in the steps
            images = schedule.images_per_epoch(images, replayed)
            images = schedule.images_per_epoch(images, schedule.reference_share(asked, has_reference, replayed))
        per_step = schedule.images_per_step(asked, images, self._settings.training_machines)
        steps = schedule.steps(asked, images, per_step)
        if earlier:
            training, images_per_s, around_s = earlier
            source = f"{training.id} saw {images_per_s:.3g} images/s, and took {around_s:.0f} s before and after"
        else:
            images_per_s, around_s = self._settings.training_images_per_s, AROUND_THE_STEPS_S
            source = (
                f"assumed: {images_per_s:g} images/s, as of a ViT-B/32 on this stage's machine, {around_s} s before "
                f"and after; of the {LOOKED_AT} newest trainings none has ended well here and was of all weights"
            )
        learnt = schedule.images_learnt(asked, images, per_step, steps)
        return Estimate(steps, per_step, round(around_s + learnt / images_per_s), source)

    def _ended(self) -> Iterator[tuple[Training, float, float]]:
        """Earlier trainings that ended well, the newest first: images/s, and seconds that went by around the steps. Of
        those that may have learnt less than all weights, images/s say nothing of others.
        """
        ids = training_ids(self._data.keys)[:LOOKED_AT]
        stored = self._data.find_all(Training, list(map(training_key, ids)))
        trainings = [each for each in stored if each.hyperparameters.get("strategy", "full") == "full"]
        jobs = concurrently(lambda training: self._jobs.describe(training.version), trainings)
        for training, job in zip(trainings, jobs, strict=True):
            if job and job["TrainingJobStatus"] == "Completed" and (found := _measured(training, job)):
                yield training, *found


def _measured(training: Training, job: Mapping[str, Any]) -> tuple[float, float] | None:
    metrics = {each["MetricName"]: float(each["Value"]) for each in job.get("FinalMetricDataList") or []}
    images_per_s, steps = metrics.get(IMAGES_PER_S_METRIC), metrics.get(STEPS_METRIC)
    began, ended = job.get("TrainingStartTime"), job.get("TrainingEndTime")
    if not images_per_s or not steps or not training.images_per_step or began is None or ended is None:
        return None
    steps_s = steps * training.images_per_step / images_per_s
    return images_per_s, max(0.0, (ended - began).total_seconds() - steps_s)
