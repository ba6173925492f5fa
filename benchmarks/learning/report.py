"""What fine-tuning gains in a new domain and loses in the old ones, method by method: benchmarks/learning.md.

    make learn-report

Two domains are learnt from folders of images per class by the product's own training program, with its defaults and
with each defence against forgetting alone. What is finished is kept in .bench/learn, so a report that was stopped goes
on where it was; after a change of the program, the base or a hyperparameter it is made anew.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from numpy import nansum

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.learning.domains import DOMAINS, write_domain
from benchmarks.learning.job import Job, run_job
from benchmarks.learning.outcome import NEW, SCENES, Outcome, learnt_tasks, measure, mixture, remembered
from benchmarks.machine import machine
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.evaluation.chart import Axis, Series, line_chart
from model.evaluation.report import markdown
from model.training.recipe import SMALL_BASE_RATE, UNREPLAYED_BASE_RATE

SHARES = (0.5, 0.75, 1.0)
"""Of the fine-tuned weights: the points of the frontier, measured on test images."""

COMMON = {"threads": "1", "evaluate_every_steps": "25"}

UNDEFENDED = {"replay_share": "0", "distillation_weight": "0"}
TRAININGS: dict[str, Mapping[str, str]] = {
    "plain": UNDEFENDED | {"learning_rate": str(SMALL_BASE_RATE)},
    "low learning rate": UNDEFENDED,
    "distillation": {"replay_share": "0"},
    "replay": {},
}
"""Hyperparameters beside the defaults."""
DEFAULT = "replay"
"""The training whose published model is what a user gets who chooses nothing."""
CALIBRATION = "Calibration error of what was published, by the temperature that the checkpoint carries:"


@dataclass(frozen=True)
class Training:
    """One run of the training program; what mixtures of its result with the base can do, by the fine-tuned share; and
    what the mixture can do that the program published.
    """

    name: str
    job: Job
    frontier: Mapping[float, Outcome]
    published: Outcome


@dataclass(frozen=True)
class Method:
    """One row of the report."""

    name: str
    share: float
    outcome: Outcome
    job: Job | None = None


@dataclass(frozen=True)
class Findings:
    """All of one domain."""

    domain: str
    base: Outcome
    trainings: Sequence[Training]

    def methods(self) -> Iterator[Method]:
        """The base, then every training before and after the program mixed it with the base; the default comes last."""
        yield Method("zero-shot", 0.0, self.base)
        for training in self.trainings:
            yield Method(training.name, 1.0, training.frontier[1.0], training.job)
            name = f"{training.name} + interpolation{' (the default)' if training.name == DEFAULT else ''}"
            yield Method(name, training.job.published_share, training.published, training.job)


class Domain:
    """One new domain: its images, the base that is to learn it, and what that base can already do."""

    def __init__(self, name: str, work: Path, base_dir: Path) -> None:
        write_domain(name, work / name)
        self.name = name
        self.directory = work / name
        self.base_dir = base_dir
        base = load_checkpoint(base_dir)
        self.tasks = learnt_tasks(base)
        self.before = measure(base, self.directory / "test", self.tasks)

    def train(self, name: str, hyperparameters: Mapping[str, str]) -> Training:
        """Run the program and measure what it ended with, mixed with the base and as it was published: the mixture that
        it chose by its own validation images, within its limits of forgetting.
        """
        directory = self.directory / name.replace(" ", "-")
        job = run_job(directory, self.directory / "train", self.base_dir, {**COMMON, **hyperparameters})
        print(f"{self.name}: {name} took {job.steps} steps and {job.cpu_s:.0f} CPU seconds", flush=True)
        published = remembered(directory / "published.json", lambda: self._measured(load_checkpoint(job.model_dir)))
        return Training(name, job, {0.0: self.before} | {share: self._mixed(share, job) for share in SHARES}, published)

    def _mixed(self, share: float, job: Job) -> Outcome:
        kept = job.directory / f"share-{share:g}.json"
        return remembered(kept, lambda: self._measured(mixture(self.base_dir, job.tuned_weights, share)))

    def _measured(self, checkpoint: Checkpoint) -> Outcome:
        return measure(checkpoint, self.directory / "test", self.tasks)


def find(domain: Domain) -> Findings:
    """Train and measure every method."""
    trainings = [domain.train(name, hyperparameters) for name, hyperparameters in TRAININGS.items()]
    return Findings(domain.name, domain.before, trainings)


def write_report(findings: Sequence[Findings], base: str, folder: Path = REPORTS) -> None:
    """Write the report and its charts."""
    for found in findings:
        (folder / f"learning-{found.domain}-frontier.svg").write_text(frontier_chart(found))
        (folder / f"learning-{found.domain}-curves.svg").write_text(curve_chart(found))
    cpu_s = nansum([training.job.cpu_s for found in findings for training in found.trainings])
    parts = [_head(base, cpu_s), *(_section(found) for found in findings)]
    (folder / "learning.md").write_text("\n\n".join(parts) + "\n")


def _head(base: str, cpu_s: float) -> str:
    return f"""# What fine-tuning gains, and what it forgets

`make learn-report` wrote this file. Base: `{base}`. {machine()}; one thread.
The training program took {cpu_s / 60:.0f} CPU minutes in all; `nan` marks a job that was stopped and went on.

Each domain is a folder of images per class, as `python -m model.training` takes it, with that program's defaults: no
hyperparameter is fitted to a domain. `replay` is what fine-tuning the small checkpoint does by default, and
`distillation` what it does where nothing can be replayed, at a learning rate of {UNREPLAYED_BASE_RATE:g} instead of
{SMALL_BASE_RATE:g}. `plain` has neither, at the rate of `replay`; `low learning rate` has neither, at that of
`distillation`.
`+ interpolation` is what the program published: the mixture of base and fine-tuned weights that it chose by its own
validation images within `max_forgetting` and `max_task_forgetting`. The rows without are the fine-tuned weights alone.

New: accuracy on test images of the new domain, asked in wordings that were trained on and in others that never were.
Old: mean accuracy over those of the rendered world's tasks that the base has learnt, {SCENES:,} images, wordings never
trained on. CPU seconds are of the whole job, with the evaluations before, during and after."""


def _section(found: Findings) -> str:
    described = (DOMAINS[found.domain].__doc__ or "").split("\n")[0]
    parts = [f"## {found.domain.capitalize()}", described, methods_table(found), shares_table(found)]
    charts = [f"![{kind}](learning-{found.domain}-{kind}.svg)" for kind in ("frontier", "curves")]
    return "\n\n".join([*parts, *charts, "Each old task:", task_table(found), CALIBRATION, calibration_table(found)])


def methods_table(found: Findings) -> str:
    """What every method gained, what it cost, and how long it took."""
    header = ["method", "fine-tuned share", "new, trained wording", "new, unseen wording"]
    header += ["old, mean", "change", "worst task", "steps", "CPU s"]
    return markdown(header, [_method_row(method, found.base) for method in found.methods()])


def _method_row(method: Method, base: Outcome) -> list[str]:
    said, (task, lost) = method.outcome, method.outcome.worst(base)
    new = [f"{said.trained_wording:.3f}", f"{said.unseen_wording:.3f}"]
    old = [f"{said.old_mean:.3f}", f"{said.old_mean - base.old_mean:+.3f}"]
    worst = f"{task} {-lost:+.3f}" if lost > 0 else "none"
    cost = [str(method.job.steps), f"{method.job.cpu_s:.0f}"] if method.job else ["", ""]
    return [method.name, f"{method.share:g}", *new, *old, worst, *cost]


def shares_table(found: Findings) -> str:
    """Gain and forgetting as shares of what plain fine-tuning gains and forgets."""
    base = found.base
    plain = next(method.outcome for method in found.methods() if method.name == "plain")
    gain, forgotten = plain.unseen_wording - base.unseen_wording, base.old_mean - plain.old_mean
    rows = [
        [
            method.name,
            f"{(method.outcome.unseen_wording - base.unseen_wording) / gain:.0%}",
            f"{(base.old_mean - method.outcome.old_mean) / forgotten:.0%}",
        ]
        for method in found.methods()
        if method.job
    ]
    return markdown(["method", "of plain's gain", "of plain's forgetting"], rows)


def task_table(found: Findings) -> str:
    """Every old task before and after every method."""
    methods = list(found.methods())
    rows = [[task, *(f"{method.outcome.old[task]:.3f}" for method in methods)] for task in found.base.old]
    return markdown(["task", *(method.name for method in methods)], rows)


def calibration_table(found: Findings) -> str:
    """How far the scores of what was published are from how often it is right, task by task."""
    columns = {
        each.name: each.outcome.calibration_errors for each in found.methods() if each.outcome.calibration_errors
    }
    rows = {task: [errors[task] for errors in columns.values()] for task in (*found.base.old, NEW)}
    rows |= {"mean": [fmean(errors.values()) for errors in columns.values()]}
    rows |= {"worst": [max(errors.values()) for errors in columns.values()]}
    return markdown(["task", *columns], [[task, *(f"{error:.3f}" for error in row)] for task, row in rows.items()])


def frontier_chart(found: Findings) -> str:
    """New accuracy over old accuracy, from the base to the fine-tuned weights."""
    series = [
        Series(training.name, [(outcome.old_mean, outcome.unseen_wording) for outcome in training.frontier.values()])
        for training in found.trainings
    ]
    low = min(x for one in series for x, _ in one.points)
    x = Axis("old tasks, mean accuracy", round(low - 0.05, 1), 1.0)
    title = f"{found.domain}: mixtures of base (bottom right) and fine-tuned weights"
    return line_chart(title, x, Axis("new domain, accuracy", 0.0, 1.0), series)


def curve_chart(found: Findings) -> str:
    """Accuracy on the new domain's validation images, by step."""
    series = [Series(training.name, training.job.curve) for training in found.trainings]
    last = max(step for one in series for step, _ in one.points)
    title = f"{found.domain}: while fine-tuning"
    return line_chart(title, Axis("step", 0, last), Axis("new domain, validation accuracy", 0.0, 1.0), series)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.report", description=__doc__.split("\n\n")[0])
    parser.add_argument("--base", type=Path, default=SHIPPED, help="what is fine-tuned (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=BENCH / "learn", help="where finished runs are kept (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    findings = [find(Domain(name, given.work, given.base)) for name in DOMAINS]
    write_report(findings, load_checkpoint(given.base).metadata.version)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
