"""What fine-tuning gains in a new domain and loses in the old ones, method by method: benchmarks/learning.md.

    make learn-report

Two domains are learnt from folders of images per class by the product's own training program, with its defaults and
with each defence against forgetting alone. What is finished is kept in .bench/learn, so a report that was stopped goes
on where it was; after a change of the program, the base or a hyperparameter it is made anew.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import BENCH, SHIPPED
from benchmarks.learning.domains import DOMAINS, write_domain
from benchmarks.learning.job import Job, run_job
from benchmarks.learning.outcome import Findings, Outcome, Training, learnt_tasks, measure, mixture, remembered
from benchmarks.learning.tables import write_report
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.training.optimizer import SMALL_BASE_RATE

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
