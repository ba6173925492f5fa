"""What some training steps cost: CPU seconds of all threads, wall seconds, and memory at its highest."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

PROCESS_FACTS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """Of `images` images: CPU and wall seconds; the process's highest memory, and how much of it came by the work."""

    images: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    work_bytes: int
    data_wait: float = 0.0


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


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    if PROCESS_FACTS.is_file():  # getrusage hands a parent's peak down to its children
        lines = PROCESS_FACTS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
