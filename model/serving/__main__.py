"""The serving image's program: SageMaker starts the image with the argument `serve`.

python -m model.serving serve      answers images on port 8080
"""

import sys

from model.clip.cuda_compat import restart_with_compatible_libcuda


def main(arguments: list[str]) -> int:
    """Serve, and return the exit status; 2 for any other argument."""
    if arguments != ["serve"]:
        print(f"usage: python -m model.serving serve, got {' '.join(arguments) or 'no argument'}", file=sys.stderr)
        return 2
    restart_with_compatible_libcuda()
    from model.serving.server import main as serve  # loads CUDA's libraries

    return serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
