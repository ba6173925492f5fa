"""Where a run stands, on disk: what a restarted job needs to go on as if it had never stopped.

Each state is a file `step-<n>.pt` and, written after it, `step-<n>.json` with its sha256 and what run it belongs to.
Both are written aside, synced and renamed, because S3 may be copying the folder at any moment.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from contract.metrics import Strategy

KEPT_STATES = 2
CHOICES = "choices.json"
"""What strategy=auto has chosen, by the run's digest: by other figures of another machine it might choose otherwise."""


class ResumeError(Exception):
    """The folder holds the states of another run. The text says what differs and what to do."""


@dataclass(frozen=True)
class StateFolder:
    """The states of one run. `run_digest` stands for its hyperparameters, data and starting weights; with `force`
    another run's are taken as well.
    """

    directory: Path
    run_digest: str
    force: bool = False

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps and drop all but the newest two."""
        self.directory.mkdir(parents=True, exist_ok=True)
        weights = self.directory / f"step-{step:08d}.pt"
        with replacing(weights) as file:
            torch.save(state, file)
        seal = {"sha256": _sha256(weights), "run": self.run_digest, "step": step}
        with replacing(weights.with_suffix(".json")) as file:
            file.write(json.dumps(seal).encode())
        for old in self._seals()[KEPT_STATES:]:
            old.unlink()
            old.with_suffix(".pt").unlink(missing_ok=True)

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """The newest whole state and its step, or None for a fresh start; damaged ones are passed over.

        Raises ResumeError if the state belongs to a run with other hyperparameters, data or base.
        """
        for path in self._seals():
            weights = path.with_suffix(".pt")
            try:
                seal = json.loads(path.read_bytes())
                whole = _sha256(weights) == seal["sha256"] and {"run", "step"} <= seal.keys()
            except (FileNotFoundError, ValueError, KeyError):
                continue
            if not whole:
                continue
            if seal["run"] != self.run_digest and not self.force:
                raise ResumeError(
                    f"{path} belongs to a run with other hyperparameters, data or base checkpoint: "
                    "repeat that run's, empty the checkpoints folder to start anew, or set resume_force=1 to go on"
                )
            return int(seal["step"]), torch.load(weights, map_location="cpu", weights_only=True)
        return None

    def remember(self, choice: Strategy) -> None:
        """Keep what the run has chosen to learn, beside what others have in this folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        others = {run: each for run, each in self._choices().items() if run != self.run_digest}
        chosen = {**others, self.run_digest: choice.model_dump(mode="json", exclude_none=True)}
        with replacing(self.directory / CHOICES) as file:
            file.write(json.dumps(chosen).encode())

    def choice(self) -> Strategy | None:
        """What the run has chosen to learn, or, with `force`, the newest other one, whose states it goes on from; None
        where that is not known.
        """
        chosen = self._choices()
        newest = next(reversed(chosen.values()), None) if self.force and self._seals() else None
        found = Strategy.model_validate(chosen.get(self.run_digest, newest))
        return found if found.chosen else None

    def _choices(self) -> dict[str, Any]:
        try:
            found = json.loads((self.directory / CHOICES).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _seals(self) -> list[Path]:
        return sorted(self.directory.glob("step-*.json"), reverse=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only once it is whole and on disk."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
