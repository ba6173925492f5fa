"""Prints the API key of a deployed stage.

python -m operate.api_key dev
"""

import argparse
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from operate.api import open_api
from operate.stage import OperatorError, add_stage_arguments, chosen_stage


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m operate.api_key", description="Print the API key of a stage.")
    add_stage_arguments(parser)
    chosen = parser.parse_args(argv)
    try:
        key = open_api(chosen_stage(chosen)).key
    except (OperatorError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    if not key:
        print(f"{chosen.stage} asks for no API key: see auth in stacks/config.py", file=sys.stderr)
        return 1
    print(key)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
