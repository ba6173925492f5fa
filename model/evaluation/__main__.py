"""How good a checkpoint is, task by task, zero-shot, in wordings it was never trained on.

python -m model.evaluation --checkpoint model/shipped                          the rendered world's tasks
python -m model.evaluation --checkpoint tuned --base model/shipped             what changed, with 95 % intervals
python -m model.evaluation --checkpoint tuned --tasks animals.json --retrieval photos --json figures.json
python -m model.evaluation --checkpoint tuned --teach photos --scenes 0        what annotated images would teach at once

A tasks file holds {"name": "animal", "labels": ["cat", {"label": "dog", "annotations": ["a barking pet"]}],
"templates": ["a photo of a {}."], "data": "folder"}, or a list of such; a folder is in any layout that training reads.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from pydantic import JsonValue

from contract.layouts.places import shown
from model.clip.checkpoint import CheckpointError, load_checkpoint
from model.clip.encode import Clip
from model.data.readers import read_dataset
from model.data.records import DataError, Record
from model.evaluation.answers import Answers, embed_sentences, retrieval, task_figures, wording_gap, wrong_above_half
from model.evaluation.bootstrap import changes
from model.evaluation.labelled import EmbeddedImages, captions_truth, read_tasks, records_to_ask
from model.evaluation.report import Figures, changes_table, markdown, print_figures, tasks_table, wording_table
from model.evaluation.teaching import (
    Doubtful,
    Learnt,
    doubtful,
    learn,
    learnt_figures,
    learnt_table,
    served_scale,
    teaching_set,
)
from model.evaluation.world import World
from model.world.tasks import TASKS

SCENES = 3000


@dataclass
class Measured:
    """What a checkpoint says to every task, and what follows."""

    clip: Clip
    answers: dict[str, Answers] = field(default_factory=dict)
    wording: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    retrieval: dict[str, dict[str, float]] = field(default_factory=dict)
    learnt: dict[str, Learnt] = field(default_factory=dict)
    doubtful: dict[str, list[Doubtful]] = field(default_factory=dict)

    def figures(self) -> dict[str, dict[str, JsonValue]]:
        """Every task's."""
        found = task_figures(self.answers, self.clip.logit_scale, self.clip.calibration)
        return {name: figures.model_dump() for name, figures in found.items()}


def measure(checkpoint: Path, given: argparse.Namespace, *, is_told: bool = True) -> Measured:
    """Ask a checkpoint everything that was asked for; with `is_told`, say what is left out.

    Raises CheckpointError and DataError.
    """
    clip = Clip(load_checkpoint(checkpoint))
    measured = Measured(clip)
    if given.scenes:
        world = World(clip, given.scenes)
        measured.answers |= world.every_answer()
        measured.wording |= {task.name: gap.model_dump() for task in TASKS if (gap := world.wording_gap(task))}
    tasks = [task for path in given.tasks for task in read_tasks(path)]
    images: dict[Path, EmbeddedImages] = {}
    for folder in {*(folder for _, folder in tasks), *given.retrieval}:
        images[folder] = _embedded(clip, folder, records_to_ask, is_told)
    for task, folder in tasks:
        if task.name in measured.answers:
            raise DataError(f"there are two tasks called {task.name!r}: give one of them another name")
        asked = images[folder].evaluation_set(task)
        if is_told and (others := len(images[folder].records) - len(asked.targets)):
            print(f"{folder}: {others} images have no label of the task {task.name} and are left out", file=sys.stderr)
        measured.answers[task.name] = asked.answers(clip, task.prompts)
        measured.wording[task.name] = wording_gap(clip, asked, task.trained, task.prompts).model_dump()
    for folder in given.retrieval:
        texts, truth = captions_truth(images[folder].records)
        cosines = images[folder].embeds @ embed_sentences(clip, texts).T
        measured.retrieval[str(folder)] = retrieval(cosines, truth)
    if is_told:
        for folder in given.teach:
            found = teaching_set(clip, _embedded(clip, folder, list, is_told))
            measured.learnt[str(folder)] = learn(found, served_scale(clip))
            measured.doubtful[str(folder)] = doubtful(found, served_scale(clip))
    return measured


def _embedded(
    clip: Clip, folder: Path, chosen: Callable[[Sequence[Record]], list[Record]], is_told: bool
) -> EmbeddedImages:
    dataset = read_dataset(folder)
    if is_told:
        told = [*dataset.findings.sentences(), *(f"{one.place}: {one.reason}" for one in dataset.faults)]
        print(*(shown(f"{folder}: {each}") for each in told), sep="\n", end="\n" if told else "", file=sys.stderr)
    images = EmbeddedImages(clip, folder, chosen(dataset.records))
    if is_told and images.unreadable:
        print(f"{folder}: {images.unreadable} images can't be opened and are left out", file=sys.stderr)
    return images


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and `key=value` lines, and write the figures if asked to."""
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
        "--teach", type=Path, nargs="+", default=[], help="folders of labelled images that teach a task at once"
    )
    parser.add_argument(
        "--scenes", type=int, default=SCENES, help="rendered images; 0 leaves the world out (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        after = measure(given.checkpoint, given)
        base = measure(given.base, given, is_told=False) if given.base else None
    except (CheckpointError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    figures = _report(after, base)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _report(after: Measured, base: Measured | None) -> dict[str, JsonValue]:
    tasks, lone = after.figures(), wrong_above_half(after.answers, after.clip.calibration)
    if tasks:
        print(tasks_table(tasks), end="\n\n")
        print(wording_table(after.wording), end="\n\n")
    everything: dict[str, Figures] = {"tasks": tasks, "wording": after.wording, "retrieval": after.retrieval}
    if after.retrieval:
        names = list(next(iter(after.retrieval.values())))
        rows = [[name, *(f"{value:.3f}" for value in found.values())] for name, found in after.retrieval.items()]
        print(markdown(["captions of", *names], rows, aligned=True), end="\n\n")
    for folder, learnt in after.learnt.items():
        print(f"{shown(folder)}: what so many annotated images of each class teach at once, of others")
        print(learnt_table(learnt), end="\n\n")
        for doubt in after.doubtful[folder]:
            print(shown(f"{doubt.path}: {doubt.label}? rather {doubt.instead} (doubt {doubt.doubt:.2f})"))
    if base:
        everything |= {"base_tasks": base.figures(), "changes": changes(base.answers, after.answers)}
        print(changes_table(everything["base_tasks"], tasks, everything["changes"]), end="\n\n")
    for name, one in tasks.items():
        alone = {"wrong_above_half": lone[name]} if name in lone else {}
        gap = {"wording_gap": after.wording[name]["gap"]} if name in after.wording else {}
        changed = {f"change_{key}": value for key, value in everything["changes"][name].items()} if base else {}
        print_figures(task=name, **one, **alone, **gap, **changed)
    for name, found in after.retrieval.items():
        print_figures(retrieval=name, **found)
    taught = {folder: learnt_figures(learnt) for folder, learnt in after.learnt.items()}
    for folder, methods in taught.items():
        for method, counts in methods.items():
            for each, figures in counts.items():
                print_figures(teach=folder, method=method, images_of_each=each, **figures)
    doubts = {folder: [asdict(each) for each in found] for folder, found in after.doubtful.items()}
    versions: dict[str, JsonValue] = {"checkpoint": after.clip.version, "base": base.clip.version if base else None}
    return {**versions, **everything, "teach": taught, "doubtful": doubts, "wrong_above_half": dict(lone)}  # type: ignore[dict-item]


if __name__ == "__main__":
    raise SystemExit(main())
