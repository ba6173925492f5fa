"""What a run tells while it goes on: `key=value` lines, which SageMaker's metric definitions read, or at a terminal a
line for a person; and curves for TensorBoard.
"""

import sys
import time

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
        left_s = round((self.steps - step) * elapsed_s / len(self.losses))
        values = {
            "loss": sum(self.losses) / len(self.losses),
            "learning_rate": learning_rate,
            "logit_scale": logit_scale,
            "images_per_s": self.images / elapsed_s,
            "data_wait": (self.waited_s - self.waited_before_s) / elapsed_s,
            "left_s": left_s,
        }
        if sys.stdout.isatty():
            share = f"{step / self.steps:4.0%}  step {step:,} of {self.steps:,}"
            speed = f"loss {values['loss']:.3f}  {values['images_per_s']:,.0f} images/s"
            print(f"{share}  {speed}  {left_s // 60}:{left_s % 60:02} left", flush=True)
        else:
            print_figures(step=step, **values)
        self._reset()
        return values

    def _reset(self) -> None:
        self.losses: list[float] = []
        self.images = 0
        self.waited_before_s = self.waited_s
        self.since_s = time.monotonic()


def add_to_curves(tensorboard: SummaryWriter | None, group: str, step: int, values: dict[str, float]) -> None:
    """Keep the figures of a step as `group/name`; they are in the event file, one per start of the run, when this
    returns. To see the curves: `tensorboard --logdir /opt/ml/output/tensorboard`, or of the folder in S3 to which the
    training job's TensorBoardOutputConfig hands it up.
    """
    if tensorboard:
        for name, value in values.items():
            tensorboard.add_scalar(f"{group}/{name.removeprefix(group + '_')}", value, step)
        tensorboard.flush()
