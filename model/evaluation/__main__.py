"""How good a checkpoint is, task by task, zero-shot, in wordings it was never trained on.

python -m model.evaluation --checkpoint model/shipped                          the rendered world's tasks
python -m model.evaluation --checkpoint tuned --base model/shipped             what changed, with 95 % intervals
python -m model.evaluation --checkpoint tuned --tasks animals.json --retrieval photos --json figures.json

A tasks file holds {"name": "animal", "labels": ["cat", {"label": "dog", "annotations": ["a barking pet"]}],
"templates": ["a photo of a {}."], "data": "folder"}, or a list of such; a folder is in any layout that training reads.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from pydantic import JsonValue

from model.clip.checkpoint import CheckpointError, load_checkpoint
from model.clip.encode import Clip
from model.data.readers import read_records
from model.data.records import DataError
from model.evaluation.answers import Answers, as_metrics, result, wording_gap, wrong_above_half
from model.evaluation.bootstrap import change
from model.evaluation.embed import embed_sentences
from model.evaluation.labelled import EmbeddedImages, LabelledTask, captions_truth, read_tasks, records_to_ask
from model.evaluation.report import changes_table, markdown, print_figures, tasks_table, wording_table
from model.evaluation.retrieval import retrieval
from model.evaluation.world import World
from model.world.tasks import TASKS

SCENES = 3000
Figures = dict[str, dict[str, float]]
"""By task or dataset, then by the figure's name."""


@dataclass
class Measured:
    """What a checkpoint says to every task, and what follows."""

    clip: Clip
    answers: dict[str, Answers] = field(default_factory=dict)
    wording: Figures = field(default_factory=dict)
    retrieval: Figures = field(default_factory=dict)

    def ask_world(self, scenes: int) -> None:
        """The rendered world's tasks."""
        world = World(self.clip, scenes)
        self.answers |= world.every_answer()
        self.wording |= {task.name: gap.as_metrics() for task in TASKS if (gap := world.wording_gap(task))}

    def ask(self, task: LabelledTask, images: EmbeddedImages) -> None:
        """A task about labelled images."""
        if task.name in self.answers:
            raise DataError(f"there are two tasks called {task.name!r}: give one of them another name")
        asked = images.evaluation_set(task)
        self.answers[task.name] = asked.answers(self.clip, task.prompts)
        self.wording[task.name] = wording_gap(self.clip, asked, task.trained, task.prompts).as_metrics()

    def retrieve(self, name: str, images: EmbeddedImages) -> None:
        """An image's captions among all captions, and a caption's images among all images."""
        texts, truth = captions_truth(images.records)
        self.retrieval[name] = retrieval(images.embeds @ embed_sentences(self.clip, texts).T, truth)

    def figures(self) -> Figures:
        """Every task's."""
        temperature = self.clip.calibration.temperature or 1.0
        return as_metrics(
            {name: result(said, self.clip.logit_scale, temperature) for name, said in self.answers.items()}
        )

    def lone_labels(self) -> dict[str, float]:
        """How often a wrong label scores above 0.5 on its own, by task."""
        curve = self.clip.calibration.multi_label
        return {name: wrong_above_half(said, curve) for name, said in self.answers.items()} if curve else {}


def measure(checkpoint: Path, given: argparse.Namespace) -> Measured:
    """Ask a checkpoint everything that was asked for. Raises CheckpointError and DataError."""
    measured = Measured(Clip(load_checkpoint(checkpoint)))
    if given.scenes:
        measured.ask_world(given.scenes)
    tasks = [task for path in given.tasks for task in read_tasks(path)]
    folders = {*(folder for _, folder in tasks), *given.retrieval}
    images = {folder: _embedded(measured.clip, folder) for folder in folders}
    for task, folder in tasks:
        measured.ask(task, images[folder])
    for folder in given.retrieval:
        measured.retrieve(str(folder), images[folder])
    return measured


def _embedded(clip: Clip, folder: Path) -> EmbeddedImages:
    images = EmbeddedImages(clip, folder, records_to_ask(read_records(folder)))
    if images.unreadable:
        print(f"{folder}: {images.unreadable} images can't be opened and are left out", file=sys.stderr)
    return images


def compared(before: Measured, after: Measured) -> Figures:
    """What changed at each task, with its 95 % interval."""
    changes = {name: asdict(change(said, after.answers[name])) for name, said in before.answers.items()}
    return {name: {key: round(value, 4) for key, value in one.items()} for name, one in changes.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and `key=value` lines, and write the figures if asked to."""
    given = _arguments(arguments)
    torch.set_num_threads(given.threads)
    try:
        after = measure(given.checkpoint, given)
        base = measure(given.base, given) if given.base else None
    except (CheckpointError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    figures = _report(after, base)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _report(after: Measured, base: Measured | None) -> dict[str, JsonValue]:
    tasks, lone = after.figures(), after.lone_labels()
    print(tasks_table(tasks), end="\n\n")
    print(wording_table(after.wording), end="\n\n")
    everything: dict[str, Figures] = {"tasks": tasks, "wording": after.wording, "retrieval": after.retrieval}
    if after.retrieval:
        names = list(next(iter(after.retrieval.values())))
        rows = [[name, *(f"{value:.3f}" for value in found.values())] for name, found in after.retrieval.items()]
        print(markdown(["captions of", *names], rows, aligned=True), end="\n\n")
    if base:
        everything |= {"base_tasks": base.figures(), "changes": compared(base, after)}
        print(changes_table(everything["base_tasks"], tasks, everything["changes"]), end="\n\n")
    for name, one in tasks.items():
        alone = {"wrong_above_half": lone[name]} if name in lone else {}
        gap = {"wording_gap": after.wording[name]["gap"]} if name in after.wording else {}
        changed = {f"change_{key}": value for key, value in everything["changes"][name].items()} if base else {}
        print_figures(task=name, **one, **alone, **gap, **changed)
    for name, found in after.retrieval.items():
        print_figures(retrieval=name, **found)
    versions: dict[str, JsonValue] = {"checkpoint": after.clip.version, "base": base.clip.version if base else None}
    return {**versions, **everything, "wrong_above_half": dict(lone)}  # type: ignore[dict-item]


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m model.evaluation", description=summary, epilog=rest, formatter_class=form
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder with config.json and its weights")
    parser.add_argument("--base", type=Path, help="another to compare it with, such as its parent")
    parser.add_argument("--tasks", type=Path, nargs="+", default=[], help="JSON files of tasks")
    parser.add_argument("--retrieval", type=Path, nargs="+", default=[], help="folders of images with captions")
    parser.add_argument(
        "--scenes", type=int, default=SCENES, help="rendered images; 0 leaves the world out (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
