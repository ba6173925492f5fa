"""The new domain's own classification tasks, where its data names labels: asked of images kept back from training."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import JsonValue

from contract.hyperparameters import Hyperparameters
from model.clip.calibration import Pairs
from model.clip.checkpoint import Calibration
from model.clip.encode import Clip
from model.data.readers import read_records
from model.data.records import Record, some_of, splits_of
from model.evaluation.answers import Answers, as_metrics, result, wording_gap, wrong_above_half
from model.evaluation.bootstrap import change
from model.evaluation.labelled import EmbeddedImages, LabelledTask, own_tasks

MAX_IMAGES = 2000
UNFITTED = 1.0


@dataclass(frozen=True)
class NewDomain:
    """`fitting` are validation images, on which calibrations are fitted; `reported` test images, or where the data has
    none the validation images again.
    """

    directory: Path
    tasks: tuple[LabelledTask, ...]
    fitting: tuple[Record, ...]
    reported: tuple[Record, ...]

    @classmethod
    def of(cls, directory: Path, chosen: Hyperparameters) -> "NewDomain | None":
        """With the tasks of which both kinds of images are kept back; None where the data has none."""
        records = read_records(directory)
        splits = splits_of(records, chosen.validation_share, chosen.seed)
        kept = {
            split: [record for record, its in zip(records, splits, strict=True) if its == split and record.labels]
            for split in ("validation", "test")
        }
        fitting, test = (tuple(some_of(kept[split], MAX_IMAGES, chosen.seed)) for split in ("validation", "test"))
        reported = test or fitting
        tasks = [task for task in own_tasks(records) if task.is_about(fitting) and task.is_about(reported)]
        return cls(directory, tuple(tasks), fitting, reported) if tasks else None

    def pairs(self, clip: Clip) -> list[Pairs]:
        """What a calibration is fitted on."""
        images = EmbeddedImages(clip, self.directory, self.fitting)
        said = [images.evaluation_set(task).answers(clip, task.prompts) for task in self.tasks]
        return [(answers.cosines, answers.truth) for answers in said]

    def metrics(self, clip: Clip, calibration: Calibration, base: Clip | None) -> dict[str, JsonValue]:
        """Figures of every task, what its wording costs, and what changed against the base."""
        images = EmbeddedImages(clip, self.directory, self.reported)
        materials = {task.name: images.evaluation_set(task) for task in self.tasks}
        after = {task.name: materials[task.name].answers(clip, task.prompts) for task in self.tasks}
        gaps = {task.name: wording_gap(clip, materials[task.name], task.trained, task.prompts) for task in self.tasks}
        found: dict[str, JsonValue] = {
            "new": _figures(after, clip, calibration),
            "new_wording": {name: dict(gap.as_metrics()) for name, gap in gaps.items()},
            "new_reported_on": "test" if self.reported is not self.fitting else "validation",
        }
        if curve := calibration.multi_label:
            found["new_wrong_above_half"] = {name: wrong_above_half(said, curve) for name, said in after.items()}
        return found | (self._comparison(base, after) if base else {})

    def _comparison(self, base: Clip, after: dict[str, Answers]) -> dict[str, JsonValue]:
        images = EmbeddedImages(base, self.directory, self.reported)
        before = {task.name: images.evaluation_set(task).answers(base, task.prompts) for task in self.tasks}
        changes = {name: asdict(change(said, after[name])) for name, said in before.items()}
        return {
            "new_before": _figures(before, base, base.calibration),
            "new_change": {name: {key: round(v, 4) for key, v in one.items()} for name, one in changes.items()},
        }


def _figures(answers: dict[str, Answers], clip: Clip, calibration: Calibration) -> JsonValue:
    temperature = calibration.temperature or UNFITTED
    results = {name: result(said, clip.logit_scale, temperature) for name, said in answers.items()}
    return {name: dict(one) for name, one in as_metrics(results).items()}
