"""The container's entry point: SageMaker starts the image with `serve` or `train`.

python -m model serve      answers images on port 8080
python -m model train      trains on the mounted channels
"""

import os
import sys

from model.cuda_compat import compat_environment


def main(arguments: list[str]) -> int:
    """Run the program named by the one argument and return its exit status. Each imports only what it needs."""
    environment = compat_environment(os.environ)
    if environment is not None:  # the dynamic linker reads its path when a process starts
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - no shell, our own command line
    match arguments:
        case ["serve"]:
            from model.serve import main as serve

            return serve()
        case ["train"]:
            from model.train import main as train

            return train()
        case _:
            print(f"usage: python -m model serve|train, got {' '.join(arguments) or 'no argument'}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
