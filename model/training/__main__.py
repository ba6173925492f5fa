"""The training image's program: SageMaker starts the image with the argument `train`, which a terminal may leave out.

python -m model.training train                         on the mounted channels
python -m model.training data=world init=scratch       hyperparameters as name=value; --help lists them
"""

import sys

from model.clip.cuda_compat import restart_with_compatible_libcuda
from model.clip.memory import keep


def main(arguments: list[str]) -> int:
    """Train, and return the exit status."""
    restart_with_compatible_libcuda()
    keep()
    from model.training.job import main as train  # loads CUDA's libraries

    return train(arguments[1:] if arguments[:1] == ["train"] else arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
