"""Images of a reference set in every batch: on them the base's answers are kept, whatever the base has learnt from.

What the rendered world replays, only a base knows that learnt from it; a reference set is what the user has.
"""

import hashlib
from dataclasses import dataclass, replace

from model.data.batch import Batch, Examples, shuffled_rows
from model.data.crops import drawn_crop
from model.data.images import RgbImage
from model.data.reference import ReferenceImages

FIRST_ROW = 1 << 40
"""Rows from here on are the reference set's."""
STREAM = 5
"""Keeps the order apart from that of the new images."""


@dataclass(frozen=True)
class Referenced:
    """New images, with whatever is replayed among them, beside images of a reference set: `share` of a batch.

    Nothing is said of these, so they stand apart in a batch: no text is true or false of them, and to no text they are
    another image that it is not about. They are shown in crops as new images are, `crop_area_min` at least.
    """

    new: Examples
    reference: ReferenceImages
    share: float
    seed: int
    crop_area_min: float

    def __len__(self) -> int:
        return len(self.new)

    def batch(self, step: int, size: int) -> Batch:
        """The images of a step and, apart from them, its reference images; a pure function of (seed, step)."""
        count = min(round(size * self.share), size - 1)
        if count == 0:
            return self.new.batch(step, size)
        batch = self.new.batch(step, size - count)
        places = shuffled_rows(self.seed + STREAM, len(self.reference.learnt), step * count, count)
        rows = tuple(FIRST_ROW + place for place in places)
        if self.crop_area_min == 1:
            crops = None if batch.crops is None else (*batch.crops, *[None] * count)
            return replace(batch, reference=rows, crops=crops)
        drawn = (drawn_crop(self.seed, step, row, self.crop_area_min) for row in rows)
        return replace(batch, reference=rows, crops=(*(batch.crops or [None] * len(batch.rows)), *drawn))

    def validation(self) -> Batch:
        """New images alone: what is kept is measured by answers."""
        return self.new.validation()

    def image(self, row: int) -> RgbImage:
        """The RGB image of a row, or what it was resized to."""
        if row < FIRST_ROW:
            return self.new.image(row)
        names = (*self.reference.learnt, *self.reference.kept_back)
        return self.reference.image(names[row - FIRST_ROW])

    @property
    def kept_back_rows(self) -> tuple[int, ...]:
        """Of the reference images that are in no batch."""
        first = FIRST_ROW + len(self.reference.learnt)
        return tuple(range(first, first + len(self.reference.kept_back)))

    def sentences(self) -> list[str]:
        """Those of the others: nothing is said of a reference image."""
        return self.new.sentences()

    def digest(self) -> str:
        """sha256 of both digests and the share."""
        return hashlib.sha256(f"{self.new.digest()} {self.reference.digest()} {self.share}".encode()).hexdigest()
