"""The container's entry point: SageMaker starts the image with `serve` or `train`.

python -m model serve      answers images on port 8080
python -m model train      trains on the mounted channels
"""

import sys


def main(arguments: list[str]) -> int:
    """Run the program named by the one argument and return its exit status. Each imports only what it needs."""
    match arguments:
        case ["serve"]:
            from model.serve import main as serve

            return serve()
        case ["train"]:
            from model.train import main as train

            return train() or 0
        case _:
            print(f"usage: python -m model serve|train, got {' '.join(arguments) or 'no argument'}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
