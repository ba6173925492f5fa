"""Pauses a stage, or brings it back, through its API, and says what that saves: nothing else of the stage changes.

python -m operate.pause dev pause
python -m operate.pause dev resume
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from operate.api import open_api
from operate.prices import saved
from operate.stage import OperatorError, add_stage_arguments, chosen_stage
from wordsight import pauses
from wordsight.api import CommandError


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m operate.pause", description="Delete a stage's endpoint and keep the rest, or bring it back."
    )
    add_stage_arguments(parser)
    parser.add_argument("action", choices=["pause", "resume"])
    pauses.add(parser)
    parser.set_defaults(json=False)
    chosen = parser.parse_args(argv)
    try:
        stage = chosen_stage(chosen, environ)
        (pauses.pause if chosen.action == "pause" else pauses.resume)(open_api(stage), chosen)
    except (CommandError, OperatorError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that was interrupted; the change goes on
    if chosen.action == "pause":
        print(saved(stage.config))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
