"""wordsight …: the API from a shell. `--help` lists the commands."""

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence

from wordsight import (
    add_model,
    annotate,
    annotations,
    batches,
    classify,
    completion,
    embed,
    health,
    models,
    page,
    pauses,
    tasks,
    teach,
    trainings,
)
from wordsight.api import KEY_VARIABLE, URL_VARIABLE, Api, CommandError, connect

VERSION = "0.1.0"
"""Of the package, too (pyproject.toml)."""

COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[[Api, Namespace], None]]] = {
    "classify": ("which labels fit these images?", classify.add, classify.run),
    "embed": ("unit vectors of images and texts, as lines of JSON", embed.add, embed.run),
    "tasks": ("questions with a name: list, show, save, delete", tasks.add, tasks.run),
    "annotate": ("keep what a folder says of its images", annotate.add, annotate.run),
    "annotations": ("what is kept of a dataset: list, show, delete", annotations.add, annotations.run),
    "teach": ("let a saved task learn from its annotations now, or go back", teach.add_teach, teach.teach),
    "doubtful": ("which annotations of a task are likely wrong?", teach.add_doubtful, teach.doubtful),
    "train": ("teach the model what a dataset says", trainings.add_train, trainings.train),
    "trainings": ("list trainings, or show, watch or stop one", trainings.add_trainings, trainings.trainings),
    "models": ("the versions of the model, and which one is live", models.add_models, models.models),
    "models add": ("bring along a CLIP from a folder or a hub", add_model.add, add_model.run),
    "promote": ("let a version go live", models.add_promote, models.promote),
    "batch": ("classify many images: begin, list, show, watch, stop, resume, download", batches.add, batches.run),
    "pause": ("delete the endpoint, which costs, and keep everything else", pauses.add, pauses.pause),
    "resume": ("bring the endpoint back with the version that was live", pauses.add, pauses.resume),
    "health": ("is the endpoint in service, and what does its model know?", health.add, health.run),
    "open": ("the API's page in a browser, with your key or signature", page.add, page.run),
}
COMPLETION = "completion"
"""The one command that asks no API."""

INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + 13
"""What a shell says of a command that SIGINT or SIGPIPE ended."""


def parser() -> ArgumentParser:
    """The command line with all of its commands."""
    every = ArgumentParser(add_help=False)
    every.add_argument("--url", help=f"the API's address, else ${URL_VARIABLE}, else the one that runs on this machine")
    every.add_argument(
        "--api-key", metavar="KEY", help=f"else ${KEY_VARIABLE}; without one requests are signed for AWS"
    )
    every.add_argument("--json", action="store_true", help="print the API's answer as it is")
    made = ArgumentParser(prog="wordsight", description="Wordsight from a shell.")
    made.add_argument("--version", action="version", version=f"wordsight {VERSION}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, add, _) in COMMANDS.items():
        add(commands.add_parser(name, help=what, description=what, parents=[every]))
    completion.add(commands.add_parser(COMPLETION, help=completion.WHAT, description=completion.WHAT))
    return made


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; its exit status."""
    arguments = parser().parse_args(_joined(argv))
    arguments.variables = environ
    try:
        if arguments.command == COMPLETION:
            print(completion.script(parser(), arguments.shell))
        else:
            COMMANDS[arguments.command][2](connect(arguments.url, arguments.api_key, environ), arguments)
        sys.stdout.flush()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:  # of a file that was to be written, or of a disk that is full
        print(error, file=sys.stderr)
        return 1
    return 0


def program() -> None:
    """What `wordsight` starts: the command, and the end of its process."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = main(sys.argv[1:], os.environ)
    try:
        sys.stdout.flush()
    except OSError:
        status = status or BROKEN_PIPE
    if status:
        os._exit(status)  # requests may be on their way, which nobody waits for


def _joined(argv: Sequence[str]) -> list[str]:
    """`models add` as the one word that argparse knows it by."""
    return ["models add", *argv[2:]] if list(argv[:2]) == ["models", "add"] else list(argv)


if __name__ == "__main__":
    program()
