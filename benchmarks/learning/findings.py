"""What the learning report is made of: one domain's runs and what they led to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.learning.job import Job
from benchmarks.learning.outcome import Outcome

DEFAULT = "replay"
"""The training whose published model is what a user gets who chooses nothing."""


@dataclass(frozen=True)
class Published:
    """What the training program left after choosing: a share of the fine-tuned weights, and what they can do."""

    share: float
    outcome: Outcome


@dataclass(frozen=True)
class Training:
    """One run of the program, and what mixtures of its result with the base can do, by the fine-tuned share."""

    name: str
    job: Job
    frontier: Mapping[float, Outcome]
    published: Published


@dataclass(frozen=True)
class Method:
    """One row of the report."""

    name: str
    share: float
    outcome: Outcome
    training: Training | None = None


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
            yield Method(training.name, 1.0, training.frontier[1.0], training)
            chosen = training.published
            suffix = " (the default)" if training.name == DEFAULT else ""
            yield Method(f"{training.name} + interpolation{suffix}", chosen.share, chosen.outcome, training)
