"""What a run prints: one `key=value` line at a time, which SageMaker's metric definitions read."""

import time


def say(**values: object) -> None:
    """Print one line; floats with the digits that matter."""
    print(" ".join(f"{key}={_text(value)}" for key, value in values.items()), flush=True)


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


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

    def report(self, step: int, learning_rate: float, logit_scale: float) -> None:
        """Print the line and begin anew."""
        elapsed_s = max(time.monotonic() - self.since_s, 1e-6)
        say(
            step=step,
            loss=sum(self.losses) / len(self.losses),
            learning_rate=learning_rate,
            logit_scale=logit_scale,
            images_per_s=self.images / elapsed_s,
            data_wait=(self.waited_s - self.waited_before_s) / elapsed_s,
            left_s=round((self.steps - step) * elapsed_s / len(self.losses)),
        )
        self._reset()

    def _reset(self) -> None:
        self.losses: list[float] = []
        self.images = 0
        self.waited_before_s = self.waited_s
        self.since_s = time.monotonic()
