"""What a contender of the throughput benchmark is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """`steps` steps of `batch` images, the first `warm` of them unmeasured; `chunk` images in memory at a time, if that
    is wanted. `from_jpeg`: decoding counts; else the images are in memory, resized.
    """

    checkpoint: Path
    photos: Path
    work: Path
    batch: int
    steps: int
    warm: int
    from_jpeg: bool
    chunk: int | None = None
