"""Some training steps, and what they cost: CPU seconds of all threads, wall seconds, and memory at its highest."""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import peak_bytes


@dataclass(frozen=True)
class Workload:
    """`steps` steps of `batch` images, the first `warm` of them unmeasured; `chunk` images in memory at a time, if that
    is wanted. `from_jpeg`: decoding counts; else the images are in memory, resized. `result`: the file for the weights
    afterwards, as transformers names them; of other loops than ours.
    """

    checkpoint: Path
    photos: Path
    job: Path
    batch: int
    steps: int
    warm: int = 0
    from_jpeg: bool = False
    chunk: int | None = None
    result: Path | None = None


@dataclass(frozen=True)
class Cost:
    """Of `images` images: CPU and wall seconds; the process's highest memory, and how much of it came by the work;
    the share of the time that was spent waiting for data.
    """

    images: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    work_bytes: int
    data_wait: float = 0.0

    @property
    def per_cpu_s(self) -> float:
        """Images per CPU second."""
        return self.images / self.cpu_s


class Meter:
    """Measures from its making, or from the end of the last step that is only there to warm up."""

    def __init__(self, unmeasured: int) -> None:
        self.unmeasured = unmeasured
        self.before_bytes = peak_bytes()
        self.steps = 0
        self._mark()

    def tick(self) -> None:
        """A step has ended."""
        self.steps += 1
        if self.steps == self.unmeasured:
            self._mark()

    def _mark(self) -> None:
        self.cpu_s, self.wall_s = time.process_time(), time.monotonic()

    def cost(self, batch: int) -> Cost:
        """What the measured steps of `batch` images cost."""
        return Cost(
            images=batch * (self.steps - self.unmeasured),
            cpu_s=time.process_time() - self.cpu_s,
            wall_s=time.monotonic() - self.wall_s,
            peak_bytes=peak_bytes(),
            work_bytes=peak_bytes() - self.before_bytes,
        )
