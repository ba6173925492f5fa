"""Replay, or rehearsal: part of every batch shows again what the base checkpoint learnt from, against catastrophic
forgetting (Robins 1995).

The shipped base and its descendants learnt from the rendered world, which is drawn on the fly and needs no storage.
"""

import hashlib
from dataclasses import dataclass

import torch

from contract.schedule import images_per_epoch
from model.data.batch import Batch, Examples, one_of_each, text_key
from model.data.images import RgbImage


@dataclass(frozen=True)
class Replay:
    """New images with old ones among them: `share` of a batch. Old images have the rows below zero.

    Whether a new image fits an old sentence, or an old image a new one, nobody has said, so such pairs are unknown.
    Taken for false they would unteach what is true of new images too: that it is one thing, that the ground is black.
    """

    new: Examples
    old: Examples
    share: float

    def __len__(self) -> int:
        """How many images an epoch has, the old ones among them."""
        return images_per_epoch(len(self.new), self.share)

    def batch(self, step: int, size: int) -> Batch:
        """The new images of a step, then its old ones."""
        replayed = min(round(size * self.share), size - 1)
        new, old = self.new.batch(step, size - replayed), self.old.batch(step, replayed)
        rows = (*new.rows, *(~row for row in old.rows))
        texts = one_of_each((*new.texts, *old.texts))
        column = {text_key(text): number for number, text in enumerate(texts)}
        positives, known = torch.zeros(2, len(rows), len(texts), dtype=torch.bool)
        for part, where in ((new, slice(len(new.rows))), (old, slice(len(new.rows), None))):
            columns = [column[text_key(text)] for text in part.texts]
            positives[where, columns] = part.positives
            known[where, columns] = True
        crops = None if new.crops is None else (*new.crops, *[None] * len(old.rows))  # the world is drawn anew anyway
        return Batch(rows, texts, positives, known, crops)

    def validation(self) -> Batch:
        """New images alone: what is kept of the old is measured by tasks."""
        return self.new.validation()

    def image(self, row: int) -> RgbImage:
        """The RGB image of a row, or what it was resized to."""
        return self.new.image(row) if row >= 0 else self.old.image(~row)

    def sentences(self) -> list[str]:
        """New and old ones."""
        return [*self.new.sentences(), *self.old.sentences()]

    def digest(self) -> str:
        """sha256 of both digests and the share."""
        return hashlib.sha256(f"{self.new.digest()} {self.old.digest()} {self.share}".encode()).hexdigest()
