"""`python -m local`: the commands behind make local, local-status, local-logs and local-destroy."""

import argparse
import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from local import commands
from local.environment import client_environment
from local.settings import LocalError, LocalSettings


def main() -> int:
    arguments = _parser().parse_args()
    try:
        settings = LocalSettings.from_env(os.environ)
        environment = client_environment(settings, os.environ)
        os.environ.clear()
        os.environ.update(environment)  # from here on this process knows no AWS account but the emulator's
        code: int = arguments.command(settings, arguments)
        return code
    except LocalError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"\nThe emulator did not answer as expected: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted. `make local` goes on from here, `make local-destroy` removes all.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The same app on one machine.")
    subparsers = parser.add_subparsers(required=True)

    up = subparsers.add_parser("up", help="start the emulator, deploy the app, classify the sample image")
    up.add_argument("-c", "--context", action="append", default=[], metavar="NAME=VALUE", help="context for cdk synth")
    up.set_defaults(command=commands.up)

    subparsers.add_parser("status", help="say what runs").set_defaults(command=commands.status)

    logs = subparsers.add_parser("logs", help="print what functions, endpoint and training jobs logged")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    logs.set_defaults(command=commands.logs)

    subparsers.add_parser("destroy", help="remove everything").set_defaults(command=commands.destroy)

    env = subparsers.add_parser("env", help='point other AWS tools at the emulator: eval "$(python -m local env)"')
    env.set_defaults(command=commands.env)

    cdk = subparsers.add_parser("cdk", help="run any command of the CDK CLI against the emulator")
    cdk.add_argument("arguments", nargs=argparse.REMAINDER)
    cdk.set_defaults(command=commands.run_cdk)
    return parser


if __name__ == "__main__":
    sys.exit(main())
