"""python -m wordsight …: the API from a shell. `--help` lists the commands."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence

from wordsight import annotate, batches, classify, models, tasks, trainings
from wordsight.api import KEY_VARIABLE, URL_VARIABLE, Api, CommandError, connect

COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[[Api, Namespace], None]]] = {
    "classify": ("which labels fit these images?", classify.add, classify.run),
    "tasks": ("questions with a name: list, show, save, delete", tasks.add, tasks.run),
    "annotate": ("keep what a folder says of its images", annotate.add, annotate.run),
    "train": ("teach the model what a dataset says", trainings.add_train, trainings.train),
    "trainings": ("list trainings, or show, watch or stop one", trainings.add_trainings, trainings.trainings),
    "models": ("the versions of the model, and which one is live", models.add_models, models.models),
    "promote": ("let a version go live", models.add_promote, models.promote),
    "batch": ("classify many stored images: begin, list, show, watch, stop, resume", batches.add, batches.run),
}


def parser() -> ArgumentParser:
    """The command line with all of its commands."""
    every = ArgumentParser(add_help=False)
    every.add_argument("--url", help=f"the API's address, else ${URL_VARIABLE}, else the one that runs on this machine")
    every.add_argument("--api-key", help=f"else ${KEY_VARIABLE}")
    every.add_argument("--json", action="store_true", help="print the API's answer as it is")
    made = ArgumentParser(prog="wordsight", description="Wordsight from a shell.")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, add, _) in COMMANDS.items():
        add(commands.add_parser(name, help=what, description=what, parents=[every]))
    return made


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; its exit status."""
    arguments = parser().parse_args(argv)
    run = COMMANDS[arguments.command][2]
    try:
        run(connect(arguments.url, arguments.api_key, environ), arguments)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that was interrupted
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
