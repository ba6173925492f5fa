"""How good a checkpoint is at the rendered world's tasks, zero-shot, in wordings it was never trained on.

python -m model.evaluate --checkpoint model/shipped
python -m model.evaluate --checkpoint model/shipped --scenes 6000 --json metrics.json
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from model.calibration import expected_calibration_error, fit_multi_label, fit_temperature
from model.checkpoint import Calibration, load_checkpoint
from model.inference import Clip
from model.scoring import mean_direction
from model.world.examples import render
from model.world.scene import Split
from model.world.tasks import TASKS, Task, ask

EVALUATION_SEED = 1_000_003
SCENES = 3000
MANY_LABELS = 50
BATCH = 128


@dataclass(frozen=True)
class TaskResult:
    """One task's figures. `accuracy` is over images in which every label is equally frequent."""

    accuracy: float
    chance: float
    images: int
    calibration_error: float


@dataclass(frozen=True)
class Answers:
    """What the model says to a task's images. `cosines` float [images, labels], `targets` int [images]"""

    task: Task
    cosines: Tensor
    targets: Tensor


class World:
    """A model's answers about the rendered world, by the code that serves it. An image is embedded once however many
    tasks ask about it.
    """

    def __init__(self, clip: Clip, scenes: int, seed: int = EVALUATION_SEED) -> None:
        self.clip = clip
        self.scenes = scenes
        self.seed = seed
        self._embeds: dict[Split, Tensor] = {}

    def answers(self, task: Task, split: Split) -> Answers:
        """Score a task's labels on a split's images."""
        questions = ask(task, split, self.seed, self.scenes)
        images = self._images(split)[[question.index for question in questions]]
        cosines = images @ embed_labels(self.clip, task.prompts).T
        return Answers(task, cosines, torch.tensor([question.target for question in questions]))

    def _images(self, split: Split) -> Tensor:
        if split not in self._embeds:
            images = (Image.fromarray(render(self.seed, split, index)) for index in range(self.scenes))
            self._embeds[split] = embed_pictures(self.clip, images)
        return self._embeds[split]


def embed_pictures(clip: Clip, images: Iterable[Image.Image]) -> Tensor:
    """Any number of RGB images as unit vectors, a batch in memory at a time. shape = [images, projection]"""
    pixels = map(clip.preprocess, images)
    batches = iter(lambda: list(islice(pixels, BATCH)), [])
    return torch.cat([clip.embed_images(torch.stack(batch)) for batch in batches])


def embed_sentences(clip: Clip, texts: Sequence[str]) -> Tensor:
    """Any number of texts as unit vectors, batch by batch. shape = [texts, projection]"""
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    return torch.stack([text.vector for batch in batches for text in clip.embed_texts(batch)])


def embed_labels(clip: Clip, prompts: list[list[str]]) -> Tensor:
    """One unit vector per label, the mean of its sentences. shape = [labels, projection]"""
    flat = iter(embed_sentences(clip, [sentence for sentences in prompts for sentence in sentences]))
    return mean_direction([[next(flat) for _ in sentences] for sentences in prompts])


def calibrate(world: World, tasks: Sequence[Task] = TASKS) -> Calibration:
    """Fit both calibrations on the validation split."""
    answers = [world.answers(task, "validation") for task in tasks if task.split == "test"]
    temperature = fit_temperature([(said.cosines * world.clip.logit_scale, said.targets) for said in answers])
    cosines = torch.cat([said.cosines.flatten() for said in answers])
    is_true = torch.cat([_one_hot(said).flatten() for said in answers])
    return Calibration(temperature=temperature, multi_label=fit_multi_label(cosines, is_true))


def _one_hot(said: Answers) -> Tensor:
    return torch.nn.functional.one_hot(said.targets, said.cosines.shape[1])


def evaluate(world: World, temperature: float, tasks: Sequence[Task] = TASKS) -> dict[str, TaskResult]:
    """Every task's figures on its test images."""
    scale = world.clip.logit_scale / temperature
    return {task.name: _result(world.answers(task, task.split), scale) for task in tasks}


def wrong_above_half(world: World, calibration: Calibration, tasks: Sequence[Task] = TASKS) -> dict[str, float]:
    """Each task's share of wrong labels that score above 0.5 when each label is scored on its own, on test images."""
    curve = calibration.multi_label
    if curve is None:
        return {}
    answers = [world.answers(task, task.split) for task in tasks]
    wrong = {said.task.name: said.cosines[_one_hot(said) == 0] for said in answers}
    return {name: round(float((curve.a * each + curve.b > 0).float().mean()), 4) for name, each in wrong.items()}


def mean_accuracy(world: World, split: Split) -> float:
    """One number to watch: the mean over the tasks that a split can answer and that fit a few hundred images."""
    answers = [world.answers(task, split) for task in TASKS if len(task.labels) < MANY_LABELS]
    right = [(said.cosines.argmax(dim=1) == said.targets).float().mean() for said in answers]
    return float(torch.stack(right).mean())


def _result(said: Answers, scale: float) -> TaskResult:
    probabilities = (said.cosines * scale).softmax(dim=1)
    accuracy = (said.cosines.argmax(dim=1) == said.targets).float().mean()
    error = expected_calibration_error(probabilities, said.targets)
    return TaskResult(float(accuracy), 1 / len(said.task.labels), len(said.targets), error)


def table(results: Mapping[str, TaskResult]) -> str:
    """The results as Markdown."""
    lines = ["| task | accuracy | chance | calibration error | images |", "| --- | --- | --- | --- | --- |"]
    for name, result in results.items():
        figures = f"{result.accuracy:.3f} | {result.chance:.3f} | {result.calibration_error:.3f} | {result.images}"
        lines.append(f"| {name} | {figures} |")
    return "\n".join(lines)


def as_metrics(results: Mapping[str, TaskResult]) -> dict[str, dict[str, float]]:
    """The results as JSON values, rounded to what they mean."""
    return {name: {key: round(value, 4) for key, value in asdict(result).items()} for name, result in results.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write the metrics if asked to."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder with config.json and its weights")
    parser.add_argument("--scenes", type=int, default=SCENES, help="rendered images per split (default %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    clip = Clip(load_checkpoint(given.checkpoint))
    results = evaluate(World(clip, given.scenes), clip.calibration.temperature or 1.0)
    print(table(results))
    if given.json:
        given.json.write_text(json.dumps(as_metrics(results), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
