"""How good a finished run's model is: its calibration, and its figures on the rendered world and on the new domain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.checkpoints import Calibration
from contract.hyperparameters import Hyperparameters
from contract.metrics import Change, Heads, Metrics, Reference
from model.clip.calibration import Pairs, fit_calibration
from model.clip.encode import Clip
from model.data.readers import read_records
from model.data.records import Record, some_of, splits_of
from model.evaluation.agreement import agreement
from model.evaluation.answers import Answers, embed_labels, learnt, rounded, task_figures, wording_gap, wrong_above_half
from model.evaluation.bootstrap import changes
from model.evaluation.labelled import EmbeddedImages, LabelledTask, own_tasks
from model.evaluation.teaching import served_accuracy, served_scale
from model.evaluation.validation import deciding, part
from model.evaluation.world import World
from model.training.interpolate import Selected
from model.training.loop import Loop
from model.world.tasks import TASKS

MAX_IMAGES = 2000
MAX_TAUGHT_IMAGES = 1000
"""Of those that were trained on, for heads: embedded twice, by base and new model, when all else is done."""
MASTERED = 0.5


@dataclass(frozen=True)
class NewDomain:
    """The new domain's own classification tasks, where its data names labels: asked of images kept back from training.

    `fitting` are validation images, on which calibrations are fitted; `reported` test images, or where the data has
    none the validation images again. `taught`: some that were trained on.
    """

    directory: Path
    tasks: tuple[LabelledTask, ...]
    fitting: tuple[Record, ...]
    reported: tuple[Record, ...]
    taught: tuple[Record, ...]

    @classmethod
    def of(cls, directory: Path, asked: Hyperparameters) -> "NewDomain | None":
        """With the tasks of which both kinds of images are kept back; None where the data has none."""
        records = read_records(directory)
        splits = splits_of(records, asked.validation_share, asked.seed)
        labelled = [(record, split) for record, split in zip(records, splits, strict=True) if record.labels]
        taught, fitting, test = (
            tuple(some_of([record for record, its in labelled if its == split], most, asked.seed))
            for split, most in (("train", MAX_TAUGHT_IMAGES), ("validation", MAX_IMAGES), ("test", MAX_IMAGES))
        )
        reported = test or fitting
        tasks = [task for task in own_tasks(records) if task.is_about(fitting) and task.is_about(reported)]
        return cls(directory, tuple(tasks), fitting, reported, taught) if tasks else None

    def answers(self, clip: Clip, records: Sequence[Record]) -> dict[str, Answers]:
        """What a model says to every task."""
        return self.answers_about(EmbeddedImages(clip, self.directory, records), clip)

    def answers_about(self, images: EmbeddedImages, clip: Clip) -> dict[str, Answers]:
        """The same about images that it has embedded."""
        return {task.name: images.evaluation_set(task).answers(clip, task.prompts) for task in self.tasks}

    def taught_accuracies(self, clip: Clip, scale: float, asked: EmbeddedImages) -> dict[str, tuple[int, float]]:
        """By task, the number of images that its head is fitted to, and its accuracy on those that are `asked`."""
        tasks = [task for task in self.tasks if task.is_about(self.taught)]
        if not tasks:
            return {}
        shown = EmbeddedImages(clip, self.directory, self.taught)
        found = {}
        for task in tasks:
            train, texts = shown.evaluation_set(task), embed_labels(clip, task.prompts)
            accuracy = served_accuracy(train, asked.evaluation_set(task), texts, scale, clip.background)
            found[task.name] = (len(train.rows), accuracy)
        return found


@dataclass(frozen=True)
class Said:
    """What a model says to the new domain's tasks; the rows of `answers` are places in `records`."""

    records: Sequence[Record]
    answers: Mapping[str, Answers]


def measure_new_domain(
    metrics: Metrics, domain: NewDomain, clip: Clip, calibration: Calibration, base: Clip | None
) -> Said:
    """Figures of every task, what its wording costs, and against the base what changed and what heads would do."""
    images = EmbeddedImages(clip, domain.directory, domain.reported)
    materials = {task.name: images.evaluation_set(task) for task in domain.tasks}
    after = {task.name: materials[task.name].answers(clip, task.prompts) for task in domain.tasks}
    gaps = {task.name: wording_gap(clip, materials[task.name], task.trained, task.prompts) for task in domain.tasks}
    metrics.new = task_figures(after, clip.logit_scale, calibration)
    metrics.new_wording = gaps
    metrics.new_reported_on = "validation" if domain.reported is domain.fitting else "test"
    if calibration.multi_label:
        metrics.new_wrong_above_half = wrong_above_half(after, calibration)
    if base:
        known = EmbeddedImages(base, domain.directory, domain.reported)
        before = domain.answers_about(known, base)
        metrics.new_before = task_figures(before, base.logit_scale, base.calibration)
        metrics.new_change = _changes(before, after)
        at_once = domain.taught_accuracies(base, served_scale(base), known)
        trained = domain.taught_accuracies(clip, clip.logit_scale / (calibration.temperature or 1.0), images)
        metrics.new_heads = {
            name: Heads(images=count, before=round(accuracy, 4), after=round(trained[name][1], 4))
            for name, (count, accuracy) in at_once.items()
        }
    return Said(images.records, after)


def measure_world(
    metrics: Metrics, world: World, answers: Mapping[str, Answers], calibration: Calibration, selected: Selected | None
) -> None:
    """Figures of the rendered world's tasks, what their wording costs, and what changed against the base."""
    metrics.world = task_figures(answers, world.clip.logit_scale, calibration)
    if calibration.multi_label:
        metrics.world_wrong_above_half = wrong_above_half(answers, calibration)
    metrics.wording = {task.name: gap for task in TASKS if (gap := world.wording_gap(task))}
    if selected:
        base, before = selected.base, selected.base_answers
        metrics.world_before = task_figures(before, base.logit_scale, base.calibration)
        metrics.world_change = _changes(before, answers)


def measure_reference(metrics: Metrics, loop: Loop, clip: Clip, selected: Selected | None) -> None:
    """Of a run with a reference set: how many answers to its images are the base's."""
    if loop.reference is None:
        return
    found = loop.reference
    counted = {"learnt": len(found.learnt), "images": len(found.kept_back), "of_dataset": found.of_dataset}
    metrics.reference = Reference(**counted, unreadable=len(found.left_out))
    before = selected.base_reference if selected else None
    after = before and loop.reference_answers(clip, before)
    if selected is None or before is None or after is None:
        return
    measured = agreement(before, after, (selected.base.logit_scale, clip.logit_scale))
    metrics.reference = metrics.reference.model_copy(
        update=rounded(
            {
                "agreement": measured.agreement,
                "agreement_at_least": measured.at_least,
                "variation": measured.variation,
                "variation_at_most": measured.variation_at_most,
            }
        )
    )


def measure_old(metrics: Metrics, loop: Loop, clip: Clip, calibration: Calibration, selected: Selected | None) -> None:
    """Figures of what was labelled before, what changed against the base, and for which of it no limit holds."""
    if selected is None or loop.old is None or not selected.base_old:
        return
    base, before, after = selected.base, selected.base_old, loop.old.answers(clip)
    metrics.old_before = task_figures(before, base.logit_scale, base.calibration)
    metrics.old = task_figures(after, clip.logit_scale, calibration)
    metrics.old_change = _changes(before, after)
    metrics.old_reasons = dict(selected.held.reasons)
    metrics.old_in_mean = selected.held.in_mean


def _changes(before: Mapping[str, Answers], after: Mapping[str, Answers]) -> dict[str, Change]:
    return {name: Change.model_validate(found) for name, found in changes(before, after).items()}


def fitted_calibration(loop: Loop, world: World, selected: Selected | None, domain: NewDomain | None) -> Calibration:
    """One temperature and two curves, of lone labels and of none of them, for everything the model is asked, fitted on
    images that no result is reported on, of the old tasks and the new domain together. The new domain is asked for its
    labels as users will, or for its captions where it has only these.

    A task that the model can't do is left out: it would take all confidence away from the others. Each of the rest
    weighs the same in the temperature; in the curves the new domain weighs as much as all old tasks together, which
    left fewer wrong lone labels above 0.5 on both sides. An old task of which the model knows a part, but answers most
    questions wrongly, is in the temperature alone: it would take confidence from the others, since its right and wrong
    labels have one cosine. Where nothing new is published it is the base's calibration, so that its answers stay what
    they were.
    """
    if selected and selected.alpha == 0 and selected.base.calibration.temperature is not None:
        return selected.base.calibration
    answers = world.validation_answers()
    known = selected.known if selected else learnt(answers) or answers if loop.recipe.data == "world" else ()
    old = [said for name, said in answers.items() if name in known]
    new: list[Pairs] = []
    if domain:
        new = [(said.cosines, said.truth) for said in domain.answers(world.clip, domain.fitting).values()]
    elif loop.recipe.data == "channel":
        cosines, batch = loop.validation_cosines()
        new = [(part(cosines, asked), part(batch.positives, asked)) for asked in deciding(batch)]
    pairs = [*((said.cosines, said.truth) for said in old), *new]
    return fit_calibration(pairs, world.clip.logit_scale, [*curve_weights(old), *(1 / len(new) for _ in new)])


def curve_weights(old: Sequence[Answers]) -> list[float]:
    """What each old task weighs in the curves, 1 together: nothing where most answers are wrong, if not all are so."""
    mastered = [float(said.right.float().mean() > MASTERED) for said in old]
    weights = mastered if any(mastered) else [1.0] * len(old)
    return [weight / sum(weights) for weight in weights]
