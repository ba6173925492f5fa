"""The serving image's programs: SageMaker starts the image with the argument `serve`, Lambda with `function`.

python -m model.serving serve                   answers images on port 8080
python -m model.serving function                answers AWS Lambda's invocations
python -m model.serving decode SOCKET USER      opens images for either, which start it themselves
"""

import gc
import sys

from model.clip.cuda_compat import restart_with_compatible_libcuda
from model.clip.memory import give_back
from model.serving import torch_without_tracing


def main(arguments: list[str]) -> int:
    """Run a program, and return its exit status; 2 for arguments that are none."""
    gc.disable()  # until all is loaded: of what a start makes nothing becomes garbage
    torch_without_tracing.begin()
    give_back()
    match arguments:
        case ["serve"]:
            restart_with_compatible_libcuda()
            from model.serving.server import main as serve  # loads CUDA's libraries

            return serve()
        case ["function"]:
            from model.serving.function import main as answer_invocations

            return answer_invocations()
        case ["decode", socket, user]:
            from model.serving.decode import main as decode

            return decode(int(socket), user)
    got = " ".join(arguments) or "no argument"
    print(f"usage: python -m model.serving serve, or function, got {got}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
