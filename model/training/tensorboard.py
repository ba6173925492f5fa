"""A run's curves as TensorBoard shows them: `tensorboard --logdir /opt/ml/output/tensorboard`, or of the folder in S3
to which the training job's TensorBoardOutputConfig hands it up.
"""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class Scalars:
    """Figures by step, in one event file per start of the run."""

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
