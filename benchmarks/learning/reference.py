"""What a reference set keeps of a base that is not known to have learnt from anything: benchmarks/reference.md.

    python -m benchmarks.learning.reference

A stand-in for a public CLIP: the shipped checkpoint without the word of what it learnt from, so that the program can
replay nothing. The reference set are rendered scenes in files, as a user has photographs; what is learnt are
pictograms. What is finished is kept in .bench/learn, as benchmarks/learning/report.py does.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.learning.domains import write_domain
from benchmarks.learning.job import Job, run_job
from benchmarks.learning.outcome import Outcome, learnt_tasks, measure, mixture, remembered
from benchmarks.learning.report import UNDEFENDED
from benchmarks.machine import machine
from contract.models import METADATA
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip
from model.evaluation.agreement import Agreement, agreement, answers_as
from model.evaluation.answers import embed_pictures
from model.evaluation.report import markdown
from model.training.recipe import SMALL_BASE_RATE, UNREPLAYED_BASE_RATE
from model.world.examples import render

DOMAIN = "pictograms"
REFERENCE_IMAGES, TEST_IMAGES = 600, 400
SCENES = 1000
"""That the old tasks are about."""
REFERENCE_SEED, TEST_SEED = 31, 77
STEPS, BATCH = 800, 32
COMMON = {
    **{"threads": "1", "precision": "fp32", "steps": str(STEPS), "batch_size": str(BATCH)},
    **{"evaluate_every_steps": "200", "selection_scenes": "100", "evaluation_scenes": "100"},
}
"""What is published is chosen by few scenes, and not looked at here: the weights alone are, at several mixtures."""
REFERENCE_RATE = 3e-4
TRAININGS: dict[str, Mapping[str, str]] = {
    "plain": UNDEFENDED | {"learning_rate": str(SMALL_BASE_RATE), "reference_share": "0"},
    "reference set": {"learning_rate": str(REFERENCE_RATE)},
}
"""Hyperparameters beside the defaults. All are given the reference set: without a share it is only measured."""
SHARES = (0.75, 0.9, 1.0)
"""Of the fine-tuned weights, between the base's and these."""
LEAST_AGREEMENT, LEAST_GAIN = 0.97, 0.9


@dataclass(frozen=True)
class Method:
    """A training's result, mixed with the base: `share` of its weights. `agreement` is of test images."""

    name: str
    share: float
    outcome: Outcome
    agreement: Agreement
    job: Job | None = None


class Bench:
    """The images, the base, and what that base says."""

    def __init__(self, work: Path) -> None:
        self.directory = work / "reference"
        write_domain(DOMAIN, work / DOMAIN)
        self.images = work / DOMAIN
        self.reference_dir = _written(self.directory / "images", REFERENCE_SEED, "train", REFERENCE_IMAGES)
        self.base_dir = stand_in(SHIPPED, self.directory / "base")
        tests = [Image.fromarray(render(TEST_SEED, "test", index)) for index in range(TEST_IMAGES)]
        self._tests = tests
        self.base_checkpoint = load_checkpoint(self.base_dir)
        self.base = Clip(self.base_checkpoint)
        self._said = answers_as(self.base, embed_pictures(self.base, tests), None)
        self.tasks = learnt_tasks(self.base_checkpoint, SCENES)
        self.before = measure(self.base_checkpoint, self.images / "test", self.tasks, SCENES)

    def methods(self) -> list[Method]:
        """The base, then every training, at each mixture with the base."""
        found = [Method("zero-shot", 0.0, self.before, self._agreement(self.base_checkpoint))]
        for name, told in TRAININGS.items():
            directory = self.directory / name.replace(" ", "-")
            job = run_job(directory, self.images / "train", self.base_dir, {**COMMON, **told}, self.reference_dir)
            print(f"{name} took {job.steps} steps and {job.cpu_s:.0f} CPU seconds", flush=True)
            found += [self._method(name, share, job) for share in SHARES]
        return found

    def _method(self, name: str, share: float, job: Job) -> Method:
        checkpoint, kept = mixture(self.base_dir, job.tuned_weights, share), job.directory / f"share-{share:g}.json"
        outcome = remembered(kept, lambda: measure(checkpoint, self.images / "test", self.tasks, SCENES))
        return Method(name, share, outcome, self._agreement(checkpoint), job)

    def _agreement(self, checkpoint: Checkpoint) -> Agreement:
        clip = Clip(checkpoint)
        embeds: Tensor = embed_pictures(clip, self._tests)
        return agreement(self._said, answers_as(clip, embeds, self._said), (self.base.logit_scale, clip.logit_scale))


def stand_in(shipped: Path, directory: Path) -> Path:
    """A copy of a checkpoint that does not say what it learnt from, as those of others don't."""
    if not directory.is_dir():
        aside = directory.with_suffix(".part")
        shutil.copytree(shipped, aside, dirs_exist_ok=True)
        metadata = json.loads((aside / METADATA).read_bytes())
        (aside / METADATA).write_text(json.dumps({**metadata, "version": "stand-in", "metrics": {}}))
        aside.rename(directory)
    return directory


def _written(directory: Path, seed: int, split: str, images: int) -> Path:
    if not directory.is_dir():
        aside = directory.with_suffix(".part")
        aside.mkdir(parents=True, exist_ok=True)
        for index in range(images):
            Image.fromarray(render(seed, split, index)).save(aside / f"{index}.png")
        aside.rename(directory)
    return directory


def table(methods: Sequence[Method]) -> str:
    """What every method gained and what it kept."""
    base, plain = methods[0], _plain(methods)
    gain = plain.outcome.unseen_wording - base.outcome.unseen_wording
    header = ["method", "fine-tuned share", "new, unseen wording", "of plain's gain", "agreement", "at least"]
    header += ["total variation", "old tasks, mean", "change", "CPU s"]
    rows = [
        [
            method.name,
            f"{method.share:g}",
            f"{method.outcome.unseen_wording:.3f}",
            f"{(method.outcome.unseen_wording - base.outcome.unseen_wording) / gain:.0%}" if method.job else "",
            f"{method.agreement.agreement:.3f}",
            f"{method.agreement.at_least:.3f}",
            f"{method.agreement.variation:.3f}",
            f"{method.outcome.old_mean:.3f}",
            f"{method.outcome.old_mean - base.outcome.old_mean:+.3f}",
            f"{method.job.cpu_s:.0f}" if method.job else "",
        ]
        for method in methods
    ]
    return markdown(header, rows)


def _plain(methods: Sequence[Method]) -> Method:
    """Plain fine-tuning's own weights."""
    return next(method for method in methods if method.name == "plain" and method.share == 1)


def verdict(methods: Sequence[Method]) -> str:
    """Whether the last one keeps and learns as much as it is to."""
    base, plain = methods[0], _plain(methods)
    last = methods[-1]
    gain = plain.outcome.unseen_wording - base.outcome.unseen_wording
    share = (last.outcome.unseen_wording - base.outcome.unseen_wording) / gain
    found = last.agreement.agreement
    kept, learnt = found >= LEAST_AGREEMENT, share >= LEAST_GAIN
    held = "Both hold" if kept and learnt else "The agreement does not hold" if learnt else "The gain does not hold"
    return (
        f"Wanted of the last row: an agreement of {LEAST_AGREEMENT:g} at least, at {LEAST_GAIN:.0%} of plain's gain. "
        f"{held if kept or learnt else 'Neither holds'}: {found:.3f} at {share:.0%}."
    )


def write_report(methods: Sequence[Method], folder: Path = REPORTS) -> None:
    """Write the report."""
    (folder / "reference.md").write_text(
        f"""# What a reference set keeps

`make learn-report` wrote this file. {machine()}; one thread.

The base stands in for a public CLIP: the checkpoint that ships with the repository, without the word of what it learnt
from, so that nothing is replayed. It learns {DOMAIN}, {STEPS} steps of {BATCH} images.
The reference set is {REFERENCE_IMAGES} rendered scenes in files of which nothing is said; a third of them is kept
back. `plain` keeps nothing; `reference set` keeps the base's answers on it, which is what `--reference` and
`reference_s3_prefix` do, here at a learning rate of {REFERENCE_RATE:g}, where `plain` has {SMALL_BASE_RATE:g}.
Without replay the default is {UNREPLAYED_BASE_RATE:g}. What distillation on the new images alone
does is in learning.md.
The fine-tuned share is of a mixture with the base's weights; which one is published, the limits of forgetting decide.

Agreement: how many answers to {TEST_IMAGES} other scenes, which no training saw, are the base's, in the mean over the
questions of model/evaluation/agreement.py of which the base is sure; `at least` is the lower end of a one-sided 95 %
interval. Old: mean accuracy over the rendered world's tasks that the base can do, {SCENES:,} images. CPU seconds are of
the whole job; `nan` marks one that was stopped and went on.

{table(methods)}

{verdict(methods)}

What this does not show: rendered scenes of 64 px are alike as a user's photographs are not, so the reference set covers
what is asked of the base better than one of a thousand photographs would; and the base is a small model. Photographs
and a public CLIP were not measured here.
"""
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning.reference", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "--work", type=Path, default=BENCH / "learn", help="where finished runs are kept (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    write_report(Bench(given.work).methods())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
