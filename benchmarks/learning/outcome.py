"""What a model can do after a run: the new domain in two wordings, and the world's tasks."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from contract.checkpoints import CheckpointMetadata
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip
from model.data.readers import read_records
from model.evaluation.answers import Answers, embed_sentences, learnt, result
from model.evaluation.labelled import EmbeddedImages, captions_truth, own_tasks
from model.evaluation.world import World
from model.training.interpolate import mix
from model.world.tasks import TASKS, Task

SCENES = 3000
"""Of 1,000, 90 images are left of the task with 100 labels, and honest scores seem off by .05 there."""
NEW = "the new domain"
"""Beside the names of the old tasks."""


@dataclass(frozen=True)
class Outcome:
    """Accuracies on test images: the new classes, asked in sentences of the training and in others; each old task.

    `calibration_errors`: of the scores for the new classes, in other sentences, and for each old task, by the
    temperature that the checkpoint carries; empty where it carries none.
    `own_sentence`: how often the sentence that fits an image best, of all that the test images have, is one of its own;
    None where they have none.
    """

    trained_wording: float
    unseen_wording: float
    old: dict[str, float]
    calibration_errors: dict[str, float] = field(default_factory=dict)
    own_sentence: float | None = None

    @property
    def old_mean(self) -> float:
        """The mean over the old tasks."""
        return sum(self.old.values()) / len(self.old)

    def worst(self, base: "Outcome") -> tuple[str, float]:
        """The task that lost most, and how much."""
        name = max(base.old, key=lambda task: base.old[task] - self.old[task])
        return name, base.old[name] - self.old[name]


def learnt_tasks(base: Checkpoint, scenes: int = SCENES) -> list[Task]:
    """The world's tasks that a base is clearly better at than chance: what can be forgotten."""
    known = learnt(World(Clip(base), scenes).every_answer())
    return [task for task in TASKS if task.name in known]


def measure(checkpoint: Checkpoint, images_dir: Path, tasks: Sequence[Task], scenes: int = SCENES) -> Outcome:
    """Ask a model about the test images, a folder per class, and evaluate it at the world's tasks."""
    clip, records = Clip(checkpoint), read_records(images_dir)
    (classes,) = own_tasks(records)
    images = EmbeddedImages(clip, images_dir, records)
    labelled = images.evaluation_set(classes)
    trained, unseen = (labelled.answers(clip, prompts) for prompts in (classes.trained, classes.prompts))
    old = World(clip, scenes).every_answer(tasks)
    return Outcome(
        _accuracy(trained),
        _accuracy(unseen),
        {name: _accuracy(said) for name, said in old.items()},
        _calibration_errors({NEW: unseen, **old}, clip),
        _own_sentence(images, clip),
    )


def _own_sentence(images: EmbeddedImages, clip: Clip) -> float | None:
    if not all(record.captions for record in images.records):
        return None
    texts, truth = captions_truth(images.records)
    best = (images.embeds @ embed_sentences(clip, texts).T).argmax(dim=1, keepdim=True)
    return float(truth.gather(1, best).float().mean())


def _accuracy(said: Answers) -> float:
    return float(said.right.float().mean())


def _calibration_errors(answers: Mapping[str, Answers], clip: Clip) -> dict[str, float]:
    if (temperature := clip.calibration.temperature) is None:
        return {}
    return {name: result(said, clip.logit_scale, temperature).calibration_error for name, said in answers.items()}


def mixture(base_dir: Path, tuned_weights: Path, alpha: float) -> Checkpoint:
    """The weights between a base checkpoint and what a run ended with, before the program chose among them."""
    base, mixed = load_checkpoint(base_dir), load_checkpoint(base_dir)
    tuned = torch.load(tuned_weights, map_location="cpu", weights_only=True)["averaged"]
    mix(mixed.model, base.model, [tuned[name] for name, _ in base.model.named_parameters()], alpha)
    metadata = CheckpointMetadata(version=f"{base.metadata.version}-alpha{alpha:g}")
    return Checkpoint(mixed.model, mixed.tokenizer, mixed.processor, metadata)


def remembered(path: Path, find: Callable[[], Outcome]) -> Outcome:
    """An outcome from its file, or found and written there."""
    if not path.is_file():
        path.write_text(json.dumps(asdict(find())))
    return Outcome(**json.loads(path.read_bytes()))
