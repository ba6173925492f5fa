"""What common training loops teach by the same images, and what they forget: benchmarks/learning-loops.md.

    python -m benchmarks.learning.loops [FOLDER …]

The loops are those of benchmarks/training/others.py, each run in a process of its own. What is finished is kept in
.bench/learn, by the base's version.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.learning.outcome import SCENES, Outcome, learnt_tasks, measure, remembered
from benchmarks.learning.seeds import DOMAINS, SEEDS, Domain, photographs, spread
from benchmarks.machine import machine
from benchmarks.training.contend import contend
from benchmarks.training.meter import Workload
from contract.checkpoints import CheckpointMetadata
from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import load_checkpoint
from model.data.class_wording import said_in_training
from model.data.readers import read_records
from model.evaluation.report import markdown
from model.training.recipe import SMALL_BASE_RATE

REPORT = REPORTS / "learning-loops.md"
LOOPS = {"trainer": "transformers' Trainer, as in run_clip.py", "open_clip": "open_clip's loop"}
DRAWN = "pictograms-50"
"""The domain where no photographs are given."""
STEPS, BATCH = 300, 64
"""As many new images as Wordsight's 600 steps show, half of whose batches are replayed."""


@dataclass(frozen=True)
class Findings:
    """What a loop's seeds end with in a domain, and the CPU seconds of each."""

    domain: str
    loop: str
    outcomes: Sequence[Outcome]
    cpu_s: Sequence[float]


class Bench:
    """The base, what it can do, and where the runs are kept."""

    def __init__(self, work: Path) -> None:
        self.base = load_checkpoint(SHIPPED)
        self.work = work / self.base.metadata.version
        self._tasks = learnt_tasks(self.base)
        self.before = remembered(self.work / "base.json", lambda: measure(self.base, self._test(), self._tasks))

    def _test(self) -> Path:
        (drawn,) = (domain for domain in DOMAINS if domain.name == DRAWN)
        return self._images(drawn, SEEDS[0]) / "test"

    def _images(self, domain: Domain, seed: int) -> Path:
        place = self.work / domain.name / str(seed)
        place.mkdir(parents=True, exist_ok=True)
        if domain.write and not (place / "test").is_dir():
            domain.write(seed, place)
        return domain.images or place

    def find(self, domain: Domain, loop: str) -> Findings:
        """Train and measure every seed."""
        outcomes, costs = [], []
        for seed in SEEDS:
            images, place = self._images(domain, seed), self.work / domain.name / str(seed)
            weights, cost = place / f"{loop}.pt", place / f"{loop}.cpu_s"
            if not cost.is_file():
                write_rows(images / "train", place, STEPS * BATCH, seed)
                load = Workload(SHIPPED, place, place / loop, BATCH, STEPS, from_jpeg=True, result=weights)
                cost.write_text(str(contend(loop, load).cpu_s))
            find = partial(self._outcome, weights, images / "test")
            outcomes.append(remembered(place / f"{loop}.json", find))
            costs.append(float(cost.read_text()))
            print(f"{domain.name}, {loop}, seed {seed}: {outcomes[-1].unseen_wording:.3f}", flush=True)
        return Findings(domain.name, loop, outcomes, costs)

    def _outcome(self, weights: Path, test: Path) -> Outcome:
        tuned = replace(load_checkpoint(SHIPPED), metadata=CheckpointMetadata(version="tuned"))
        tuned.model.load_state_dict(torch.load(weights, weights_only=True))
        return measure(tuned, test, self._tasks)


def write_rows(images_dir: Path, directory: Path, rows: int, seed: int) -> None:
    """The manifest of a loop: every image once before any comes again, each time in one of its label's wordings, since
    a loop of captions takes one for an image.
    """
    records = read_records(images_dir)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(records)) for _ in range(-(-rows // len(records)))])[:rows]
    with (directory / "manifest.jsonl").open("w") as file:
        for place in order:
            (label,) = records[place].labels.values()
            said = str(rng.choice(said_in_training(label)))
            row = {"image": str((images_dir / records[place].image).resolve()), "captions": [said], "split": "train"}
            file.write(json.dumps(row) + "\n")


def report(findings: Sequence[Findings], before: Outcome, base: str) -> str:
    """As Markdown."""
    header = ["domain", "loop", "unseen wording", "old tasks, change", "worst task", "CPU s"]
    rows = []
    for found in findings:
        task, lost = max((outcome.worst(before) for outcome in found.outcomes), key=lambda worst: worst[1])
        new = [outcome.unseen_wording for outcome in found.outcomes]
        change = [outcome.old_mean - before.old_mean for outcome in found.outcomes]
        rows.append(
            [
                *(found.domain, LOOPS[found.loop], spread(new), spread(change, "+.3f"), f"{task} {-lost:+.3f}"),
                f"{fmean(found.cpu_s):.0f}",
            ]
        )
    return f"""# What common loops teach by the same images

`make learn-report` wrote this file. Base: `{base}`. {machine()}; one thread.

The base learns domains of [learning-seeds.md](learning-seeds.md) in two common loops, {STEPS} steps of {BATCH} images:
as many new images as Wordsight shows by default, half of whose batches are replayed. They are shown in random crops of
{Hyperparameters().crop_area_min:.0%} of their area at least, each time in one of the wordings that Wordsight trains a
label in. The learning rate is {SMALL_BASE_RATE:g} at most, as Wordsight's for this base, and falls to zero as each loop
does it by default: linearly in Trainer, as a cosine in open_clip's, after a warm-up of a tenth of the steps.

Accuracy on test images in wordings that no training used, in the mean of {len(SEEDS)} seeds and, in brackets, from the
lowest to the highest; old tasks are those of the rendered world that the base has learnt, {SCENES:,} images. What
Wordsight's defaults teach, and what is lost by them, is in learning-seeds.md.

{markdown(header, rows)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.loops", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="photographs: train/<class>, test/<class>"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bench = Bench(BENCH / "learn/loops")
    domains = [*map(photographs, given.folders)] or [domain for domain in DOMAINS if domain.name == DRAWN]
    findings = [bench.find(domain, loop) for domain in domains for loop in LOOPS]
    REPORT.write_text(report(findings, bench.before, bench.base.metadata.version))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
