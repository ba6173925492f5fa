"""What a run tells while it goes on: `key=value` lines, which SageMaker's metric definitions read, or at a terminal a
line for a person; and curves for TensorBoard.
"""

import sys
import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from model.evaluation.report import print_figures


class Progress:
    """What happened since the last line, the share of the time that went into waiting for data among it."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.waited_s = 0.0
        self._reset()

    def add(self, loss: float, images: int, waited_s: float) -> None:
        """Take in one step; `waited_s` counts from the run's beginning how long data was waited for."""
        self.losses.append(loss)
        self.images += images
        self.waited_s = waited_s

    def report(self, step: int, learning_rate: float, logit_scale: float) -> dict[str, float]:
        """Print the line, begin anew, and return what was printed."""
        elapsed_s = max(time.monotonic() - self.since_s, 1e-6)
        values = {
            "loss": sum(self.losses) / len(self.losses),
            "learning_rate": learning_rate,
            "logit_scale": logit_scale,
            "images_per_s": self.images / elapsed_s,
            "data_wait": (self.waited_s - self.waited_before_s) / elapsed_s,
            "left_s": round((self.steps - step) * elapsed_s / len(self.losses)),
        }
        if sys.stdout.isatty():
            print(self._line(step, **values), flush=True)
        else:
            print_figures(step=step, **values)
        self._reset()
        return values

    def _line(self, step: int, loss: float, images_per_s: float, left_s: float, **_: float) -> str:
        minutes, seconds = divmod(round(left_s), 60)
        share = f"{step / self.steps:4.0%}  step {step:,} of {self.steps:,}"
        return f"{share}  loss {loss:.3f}  {images_per_s:,.0f} images/s  {minutes}:{seconds:02} left"

    def _reset(self) -> None:
        self.losses: list[float] = []
        self.images = 0
        self.waited_before_s = self.waited_s
        self.since_s = time.monotonic()


class TensorBoard:
    """A run's curves: `tensorboard --logdir /opt/ml/output/tensorboard`, or of the folder in S3 to which the training
    job's TensorBoardOutputConfig hands it up. One event file per start of the run.
    """

    def __init__(self, directory: Path) -> None:
        self._writer = SummaryWriter(str(directory))

    def add(self, group: str, step: int, values: dict[str, float]) -> None:
        """Keep the figures of a step as `group/name`; they are in the file when this returns."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name.removeprefix(group + '_')}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write the file's end."""
        self._writer.close()
