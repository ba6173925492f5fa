"""Promotes a version of the model through the stage's API: nothing else of the stage changes.

python -m operate.promote dev base
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from operate.api import open_api
from operate.stage import OperatorError, add_stage_arguments, chosen_stage
from wordsight import models
from wordsight.api import CommandError


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m operate.promote", description="Promote a version of the model, and follow it until it is live."
    )
    add_stage_arguments(parser)
    models.add_promote(parser)
    parser.set_defaults(json=False)
    chosen = parser.parse_args(argv)
    try:
        models.promote(open_api(chosen_stage(chosen, environ)), chosen)
    except (CommandError, OperatorError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that was interrupted; the promotion goes on
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
