"""The file that tells how far a run is (contract/progress.py): its phase, its steps, how long it will take, its curves.

What comes behind the last step is estimated before it begins by what the first validation took for each image; a phase
that has parts to count is estimated by those that are done.
"""

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, get_args

from contract.gain import ALPHAS
from contract.progress import (
    MAX_HISTORY_POINTS,
    PHASES_IN_WORDS,
    PROGRESS_FILE,
    HistoryPoint,
    Phase,
    TrainingProgress,
)
from model.evaluation.report import print_figures
from model.training.recipe import Recipe
from model.training.state import replacing
from model.world.examples import render

WRITTEN_EVERY_S = 2.0
"""Steps may take a millisecond, and S3 keeps each state of the file for a day."""
DIGITS = 5
SCENE_IMAGES = 2
"""For all of the rendered world's tasks, so many times as many images are looked at as it has scenes."""
DRAWN = 10
PHASES = get_args(Phase)

Part = TypeVar("Part")


class ProgressFile:
    """Of one run, which goes on with the curves that are there. Without a folder nothing is written: one process of
    several tells.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = directory and directory / PROGRESS_FILE
        self._phase: Phase = "starting"
        self._step: int | None = None
        self._steps: int | None = None
        self._points = {point.step: point for point in self._read()}
        self._written_s = -math.inf
        self.afterwards: Mapping[Phase, float] = {}
        """The phases behind the last step, and the seconds that each is estimated to take."""

    @property
    def points(self) -> list[HistoryPoint]:
        """All of the curves."""
        return sorted(self._points.values(), key=lambda point: point.step)

    def enter(self, phase: Phase) -> None:
        """A phase begins."""
        self._phase = phase
        if self._path and sys.stdout.isatty():
            print(f"{PHASES_IN_WORDS[phase]} …", flush=True)
        elif self._path:
            print_figures(phase=phase)
        self._write(self.afterwards[phase] + self._behind_s() if phase in self.afterwards else None)

    def resume(self, step: int, steps: int, validated: Sequence[Mapping[str, float]]) -> None:
        """The run begins behind a step, with what was `validated` up to there; its losses are those that the former
        start's file tells.
        """
        self._step, self._steps = step, steps
        self._points = {at: point for at, point in self._points.items() if at <= step}
        for found in validated:
            self.validated(int(found["step"]), found)

    def trained(self, step: int, loss: float, left_s: float) -> None:
        """Some steps were made, the last one after `step`; the other ones take about so long."""
        self._step = step
        self._tell(step, loss=_finite(loss))
        if time.monotonic() - self._written_s >= WRITTEN_EVERY_S or step == self._steps:
            self._write(left_s + self._behind_s())

    def validated(self, step: int, found: Mapping[str, float]) -> None:
        """The validation images were asked."""
        loss, accuracy = (_finite(found[f"validation_{name}"]) for name in ("loss", "accuracy"))
        self._tell(step, validation_loss=loss, accuracy=accuracy)

    def each(self, phase: Phase, parts: Sequence[Part]) -> Iterator[Part]:
        """Begin a phase, and go through its parts, which take about as long as one another."""
        self.enter(phase)
        began_s = time.monotonic()
        for done, part in enumerate(parts):
            if done > 1:  # the first one may be the base itself, of which less is asked
                per_part_s = (time.monotonic() - began_s) / done
                self._write((len(parts) - done) * per_part_s + self._behind_s())
            yield part

    def _behind_s(self) -> float:
        """What comes behind the present phase."""
        after = PHASES.index(self._phase)
        return sum(seconds for phase, seconds in self.afterwards.items() if PHASES.index(phase) > after)

    def _tell(self, step: int, **found: float | None) -> None:
        self._points[step] = self._points.get(step, HistoryPoint(step=step)).model_copy(update=found)

    def _write(self, left_s: float | None) -> None:
        if self._path is None:
            return
        told = TrainingProgress(
            phase=self._phase,
            step=self._step,
            steps=self._steps,
            left_s=None if left_s is None else max(0, round(left_s)),
            updated_s=round(time.time(), 1),
            history=thinned(self.points),
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as file:
            file.write(told.model_dump_json(exclude_none=True).encode())
        self._written_s = time.monotonic()

    def _read(self) -> list[HistoryPoint]:
        """The curves of a former start; none where there was none, or its file is damaged."""
        told = TrainingProgress.read(self._path.read_bytes()) if self._path and self._path.is_file() else None
        return told.history if told else []


def seconds_afterwards(recipe: Recipe, images: int, validation_s: float, others: int = 0) -> dict[Phase, float]:
    """What is to be measured behind the last step, by the time that so many validation images took and what drawing one
    takes: each mixture is asked for these, for so many `others` and for the old tasks, and so are the base and
    the model that is published.
    """
    began_s = time.monotonic()
    for index in range(DRAWN):
        render(recipe.seed, "validation", index)
    image_s = validation_s / max(1, images)
    scene_s = SCENE_IMAGES * (image_s + (time.monotonic() - began_s) / DRAWN)
    adapts = recipe.data == "channel" and recipe.init == "base"
    asked = images + others
    choosing = len(ALPHAS) * (asked * image_s + recipe.selection_scenes * scene_s) if adapts else 0.0
    evaluating = (2 + adapts) * (asked * image_s + recipe.evaluation_scenes * scene_s)
    return {"choosing": choosing, "evaluating": evaluating}


def thinned(points: Sequence[HistoryPoint], most: int = MAX_HISTORY_POINTS) -> list[HistoryPoint]:
    """At most so many points, spread evenly over the steps, the first and the last among them. Half of the room is for
    those at which validation images were asked, which are fewer.
    """
    asked = _spread([point for point in points if point.accuracy is not None], most // 2)
    others = _spread([point for point in points if point.accuracy is None], most - len(asked))
    return sorted([*asked, *others], key=lambda point: point.step)


def _spread(points: list[HistoryPoint], most: int) -> list[HistoryPoint]:
    """The first point, and the last one of each of equal stretches of steps behind it."""
    if len(points) <= most:
        return points
    first, last = points[0].step, points[-1].step
    stretches = {math.ceil((point.step - first) * (most - 1) / (last - first)): point for point in points}
    return list(stretches.values())


def _finite(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
