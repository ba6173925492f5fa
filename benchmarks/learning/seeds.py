"""What the defaults of today teach, over three seeds: benchmarks/learning-seeds.md.

    python -m benchmarks.learning.seeds [FOLDER …]
    python -m benchmarks.learning.seeds --finished [FOLDER …]     of the runs that are finished, without another one

A seed is another draw of the images to train on, where a domain has more than it trains on, and another order, other
crops and other captions for the training program. A folder of photographs (train/<class>, test/<class>) is another
domain. What is finished is kept in .bench/learn, as benchmarks/learning/report.py does.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan
from pathlib import Path
from statistics import fmean

import torch

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.learning.domains import digits, drawn_pictograms, write_images, write_told_pictograms
from benchmarks.learning.job import Job, run_job
from benchmarks.learning.outcome import SCENES, Outcome, measure, mixture, remembered
from benchmarks.learning.teach import Bar
from benchmarks.machine import machine
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip
from model.evaluation.answers import learnt
from model.evaluation.report import markdown
from model.evaluation.world import World
from model.world.tasks import TASKS, Task

REPORT = REPORTS / "learning-seeds.md"
SEEDS = (0, 1, 2)
COMMON = {"threads": "1"}
MOST_LOST = 0.015
"""Of the old tasks' mean accuracy, by what is published, in the mean of the seeds."""


@dataclass(frozen=True)
class Domain:
    """What is to be learnt. `write` puts the images of a seed into `train` and `test` of a folder; or else they are in
    those of `images`. `least` and `least_own_sentence`: the accuracies that are asked of what is published.
    """

    name: str
    what: str
    write: Callable[[int, Path], None] | None = None
    images: Path | None = None
    least: float | None = None
    least_own_sentence: float | None = None


DOMAINS = (
    Domain(
        "pictograms-16", "16 drawings of each of ten things", lambda seed, folder: _draw(16, seed, folder), least=0.90
    ),
    Domain(
        "pictograms-50", "50 drawings of each of ten things", lambda seed, folder: _draw(50, seed, folder), least=0.96
    ),
    Domain(
        "digits",
        "1,200 scans of handwritten digits",
        lambda seed, folder: write_images(digits(seed), folder),
        least=0.98,
    ),
    Domain(
        "told-pictograms",
        "50 drawings of each of ten things, with a label and three sentences each",
        lambda seed, folder: write_told_pictograms(50, seed, folder),
        least=0.75,
        least_own_sentence=0.55,
    ),
)
PHOTOGRAPHS = {"signs": 0.92}
"""What is asked of a folder of photographs that is called so."""


def photographs(folder: Path) -> Domain:
    """A folder of somebody's photographs."""
    name = folder.resolve().name
    return Domain(name, "photographs, given by `DATA`", images=folder, least=PHOTOGRAPHS.get(name.lower()))


def _draw(each: int, seed: int, folder: Path) -> None:
    write_images(drawn_pictograms(each, seed), folder)


@dataclass(frozen=True)
class Run:
    """One seed's run: the base, the fine-tuned weights alone, and the mixture of both that the program published."""

    job: Job
    base: Outcome
    tuned: Outcome
    published: Outcome


@dataclass(frozen=True)
class Findings:
    """All of one domain: a run for every seed, or for those that are finished."""

    domain: Domain
    runs: Sequence[Run]

    def mean(self, figure: Callable[[Run], float]) -> float:
        """Of the seeds."""
        return fmean(map(figure, self.runs))


class Bench:
    """The base, what it can do, and where the runs are kept. `told`: hyperparameters beside the defaults."""

    def __init__(self, work: Path, told: Mapping[str, str] = COMMON) -> None:
        self.work = work
        self.told = told
        self._base = load_checkpoint(SHIPPED)

    def find(self, domain: Domain, finished: bool = False) -> Findings:
        """Train and measure every seed, or only those that were before."""
        places = {seed: self.work / domain.name / str(seed) for seed in SEEDS}
        seeds = [seed for seed, place in places.items() if not finished or (place / "job/published.json").is_file()]
        return Findings(domain, [self._run(domain, seed, places[seed]) for seed in seeds])

    def _run(self, domain: Domain, seed: int, place: Path) -> Run:
        if domain.write:
            domain.write(seed, place)
        images = domain.images or place
        job = run_job(place / "job", images / "train", SHIPPED, {**self.told, "seed": str(seed)})

        def outcome(name: str, checkpoint: Callable[[], Checkpoint], tasks: Sequence[Task]) -> Outcome:
            kept = job.directory / f"{name}.json"
            return remembered(kept, lambda: measure(checkpoint(), images / "test", tasks))

        base = replace(outcome("base", lambda: self._base, []), old=self.old)
        published = outcome("published", lambda: load_checkpoint(job.model_dir), self.tasks)
        tuned = published  # if it is nothing else
        if job.published_share < 1:
            tuned = outcome("tuned", lambda: mixture(SHIPPED, job.tuned_weights, 1.0), self.tasks)
        run = Run(job, base, tuned, published)
        print(
            f"{domain.name}, seed {seed}: {run.published.unseen_wording:.3f} at {job.published_share:g}, alone "
            f"{run.tuned.unseen_wording:.3f}, own sentence {run.published.own_sentence}, old "
            f"{run.published.old_mean - run.base.old_mean:+.3f}, {job.steps} steps, {job.cpu_s:.0f} CPU s",
            flush=True,
        )
        return run

    @cached_property
    def tasks(self) -> list[Task]:
        """What the base can forget."""
        return [task for task in TASKS if task.name in self.old]

    @cached_property
    def old(self) -> dict[str, float]:
        """How well the base does at each of these, whatever is to be learnt."""
        known = learnt(World(Clip(self._base), SCENES).every_answer())
        return {name: float(said.right.float().mean()) for name, said in known.items()}


def bars(findings: Sequence[Findings]) -> list[Bar]:
    """What is asked of what is published, in the mean of the seeds, where all of them were run."""
    checked = []
    for found in findings:
        if len(found.runs) < len(SEEDS):
            continue
        name, domain = found.domain.name, found.domain
        if domain.least is not None:
            got = found.mean(lambda run: run.published.unseen_wording)
            checked.append(Bar(f"{name}: accuracy at least {domain.least:.2f}", f"{got:.3f}", got >= domain.least))
        if (least := domain.least_own_sentence) is not None:
            got = found.mean(lambda run: run.published.own_sentence or 0.0)
            checked.append(Bar(f"{name}: own sentence at least {least:.2f}", f"{got:.3f}", got >= least))
        lost = found.mean(_lost)
        checked.append(Bar(f"{name}: old tasks lose at most {MOST_LOST:g}", f"{lost:+.3f} lost", lost <= MOST_LOST))
    return checked


def _lost(run: Run) -> float:
    return run.base.old_mean - run.published.old_mean


def table(findings: Sequence[Findings]) -> str:
    """One row per domain: the mean over the seeds, and from which to which they reach."""
    header = ["domain", "seeds", "zero-shot", "published", "fine-tuned share", "fine-tuned alone", "own sentence"]
    header += ["old tasks, change", "of the fine-tuned alone", "worst task", "steps", "CPU s"]
    return markdown(header, [_row(found.domain.name, found.runs) for found in findings if found.runs])


def _row(name: str, runs: Sequence[Run]) -> list[str]:
    task, lost = max((run.published.worst(run.base) for run in runs), key=lambda worst: worst[1])
    own = [run.published.own_sentence for run in runs if run.published.own_sentence is not None]
    return [
        name,
        str(len(runs)),
        spread([run.base.unseen_wording for run in runs]),
        spread([run.published.unseen_wording for run in runs]),
        spread([run.job.published_share for run in runs], ".2f"),
        spread([run.tuned.unseen_wording for run in runs]),
        spread(own) if own else "",
        spread([-_lost(run) for run in runs], "+.3f"),
        spread([run.tuned.old_mean - run.base.old_mean for run in runs], "+.3f"),
        f"{task} {-lost:+.3f}" if lost > 0 else "none",
        spread([run.job.steps for run in runs], ".0f"),
        spread([run.job.cpu_s for run in runs], ".0f"),
    ]


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """`0.910 (0.900 to 0.920)`, or one figure where they are the same. Unknown ones, NaN, are left out if others are
    known.
    """
    values = [value for value in values if not isnan(value)] or values
    mean, low, high = (format(value, form) for value in (fmean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def report(findings: Sequence[Findings], base: str) -> str:
    """As Markdown."""
    checked = bars(findings)
    held = sum(each.holds for each in checked)
    missing = [found.domain.name for found in findings if len(found.runs) < len(SEEDS)]
    unfinished = f"\n\nNot run with every seed yet: {', '.join(missing)}." if missing else ""
    domains = "\n".join(f"- `{found.domain.name}`: {found.domain.what}" for found in findings)
    asked = [[each.asked, each.found, "pass" if each.holds else "miss"] for each in checked]
    return f"""# What the defaults teach, over {len(SEEDS)} seeds

`make learn-report` wrote this file. Base: `{base}`. {machine()}; one thread.

Each domain is learnt {len(SEEDS)} times by the training program with its defaults, each time from other images, where
the domain has more than it trains on, and with another `seed`.

{domains}{unfinished}

## What is asked of it

Of what is published, in the mean of the seeds. {held} of {len(checked)} hold.

{markdown(["asked", "found", ""], asked)}

## What was found

Accuracy on test images, asked in wordings that no training used: the mean of the seeds and, in brackets, the lowest and
the highest. Published is the mixture of base and fine-tuned weights that the program chose. Own sentence: how often the
sentence that fits an image best, of all that the test images have, is one of its own, in wordings likewise unseen. Old
tasks: the mean accuracy over those of the rendered world's tasks that the base has learnt, {SCENES:,} images; the worst
task is the one that lost most in any seed. CPU seconds are of the whole job, with the evaluations before, during and
after; what was stopped and went on is left out there.

{table(findings)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.seeds", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="photographs: train/<class>, test/<class>"
    )
    parser.add_argument("--finished", action="store_true", help="train nothing, and report what was measured before")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bench = Bench(BENCH / "learn/seeds")
    findings = [bench.find(domain, given.finished) for domain in (*DOMAINS, *map(photographs, given.folders))]
    REPORT.write_text(report(findings, load_checkpoint(SHIPPED).metadata.version))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
