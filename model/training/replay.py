"""Replay: part of every batch shows again what the base checkpoint learnt from, so that fine-tuning keeps it.

The shipped base and its descendants learnt from the rendered world, which is drawn on the fly and needs no storage.
Experience replay against catastrophic forgetting: Robins 1995; for CLIP it is half of every batch.
"""

import hashlib
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import CheckpointMetadata
from model.data.batch import Batch, Examples
from model.world.examples import world_of

DEFAULT_SHARE = 0.5
DEFAULT_PAIR_SHARE = 0.15
"""Of the replayed images: at .05, two a batch, what was published on digits had lost .05 at relation; at .15 none."""


class Replay:
    """New images with old ones among them: `share` of a batch. Old images have the rows below zero.

    Whether a new image fits an old sentence, or an old image a new one, nobody has said, so such pairs are unknown.
    Taken for false they would unteach what is true of new images too: that it is one thing, that the ground is black.
    """

    def __init__(self, new: Examples, old: Examples, share: float) -> None:
        self.new = new
        self.old = old
        self.share = share

    def __len__(self) -> int:
        """So many that every new image comes once in an epoch."""
        return ceil(len(self.new) / (1 - self.share))

    def batch(self, step: int, size: int) -> Batch:
        """The new images of a step, then its old ones."""
        replayed = min(round(size * self.share), size - 1)
        new, old = self.new.batch(step, size - replayed), self.old.batch(step, replayed)
        rows = (*new.rows, *(~row for row in old.rows))
        texts = tuple(dict.fromkeys((*new.texts, *old.texts)))
        column = {text: number for number, text in enumerate(texts)}
        positives, known = torch.zeros(2, len(rows), len(texts), dtype=torch.bool)
        for part, where in ((new, slice(len(new.rows))), (old, slice(len(new.rows), None))):
            columns = [column[text] for text in part.texts]
            positives[where, columns] = part.positives
            known[where, columns] = True
        return Batch(rows, texts, positives, known)

    def validation(self) -> Batch:
        """New images alone: what is kept of the old is measured by tasks."""
        return self.new.validation()

    def image(self, row: int) -> Image.Image | NDArray[np.uint8]:
        """The RGB image of a row, or what it was resized to."""
        return self.new.image(row) if row >= 0 else self.old.image(~row)

    def sentences(self) -> list[str]:
        """New and old ones."""
        return [*self.new.sentences(), *self.old.sentences()]

    def digest(self) -> str:
        """sha256 of both digests and the share."""
        return hashlib.sha256(f"{self.new.digest()} {self.old.digest()} {self.share}".encode()).hexdigest()


def with_replay(chosen: Hyperparameters, examples: Examples, base: CheckpointMetadata | None) -> Examples:
    """The examples with the rendered world among them, as far as that was asked for or the base learnt from it."""
    share = replay_share(chosen, base)
    if share == 0:
        return examples
    return Replay(examples, world_of(chosen, pair_share(chosen, base)), share)


def replay_share(chosen: Hyperparameters, base: CheckpointMetadata | None) -> float:
    """What was asked for, or half where fine-tuning starts from a checkpoint that learnt from the world."""
    if chosen.data == "world" or base is None:
        return 0.0
    if chosen.replay_share is not None:
        return chosen.replay_share
    return DEFAULT_SHARE if learnt_from_world(base) else 0.0


def pair_share(chosen: Hyperparameters, base: CheckpointMetadata | None) -> float:
    """How much of the world that a run shows are pairs: what was asked for, or the default in replay to a base that was
    shown some, since what it knows of them would be forgotten like all else.
    """
    if chosen.pair_share is not None:
        return chosen.pair_share
    seen = base.metrics.get("pair_share") if base and replay_share(chosen, base) > 0 else None
    return DEFAULT_PAIR_SHARE if isinstance(seen, int | float) and seen > 0 else 0.0


def learnt_from_world(metadata: CheckpointMetadata) -> bool:
    """Whether the run that made a checkpoint showed it the rendered world: as its data, or by replay."""
    recipe = metadata.metrics.get("hyperparameters")
    trained = isinstance(recipe, dict) and recipe.get("data") == "world"
    replayed = metadata.metrics.get("replay_share")
    return trained or (isinstance(replayed, int | float) and replayed > 0)
