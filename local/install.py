"""Run a package manager: a line that says how far it is, and all that it writes in a log.

    python -m local.install "the Python packages" .venv/install.log python -m pip install -r requirements.txt

Of the standard library alone: nothing else is installed when this runs.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from local.steps import step

SHOWN_LINES = 15
"""Of what failed."""
INTERRUPTED = 130
"""What a shell says of a command that was interrupted."""

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)$")
"""Of pip's --progress-bar raw: bytes."""


class Pip:
    """What pip's lines say of how far it is. What another program writes says nothing."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._packages = 0
        self._file = ""

    def hear(self, line: str) -> bool:
        """Take in a line; whether it is one for the log."""
        if progress := _PROGRESS.match(line):
            done, total = (int(number) / 1e6 for number in progress.groups())
            if self._file and total >= 1:
                self._tell(f"{self._packages} packages, {self._file}: {done:.0f} of {total:.0f} MB")
            return False
        words = line.split()
        match words:
            case ["Collecting", *_]:
                self._packages += 1
                self._tell(f"{self._packages} packages")
            case ["Downloading", name, *_]:
                self._file = name.rpartition("/")[2].partition("-")[0]
                self._tell(f"{self._packages} packages, {self._file} {' '.join(words[2:])}".rstrip())
            case ["Installing", "collected", "packages:", *names]:
                self._tell(f"unpacking {len(names)} packages")
        return True


def install(what: str, log: Path, command: Sequence[str]) -> int:
    """Run the command, and return its exit status. Of one that fails the end of its output is shown."""
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    with log.open("a", encoding="utf-8") as file, step(f"install {what}") as tell:
        file.write(f"$ {' '.join(command)}\n")
        try:
            with subprocess.Popen(  # noqa: S603 - the package manager that the Makefile names
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
            ) as process:
                pip = Pip(tell)
                for line in process.stdout or ():
                    if pip.hear(line.strip()):
                        file.write(line)
                        lines.append(line.rstrip())
        except FileNotFoundError:
            lines.append(f"{command[0]} is not there.")
            status = 127
        else:
            status = process.returncode
    if status:
        shown = "\n".join(f"  {line}" for line in lines[-SHOWN_LINES:] if line)
        print(f"\nTo install {what} failed:\n{shown}\nThe whole output is in {log}.", file=sys.stderr)
    return status


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.install", description="Run a package manager quietly.")
    parser.add_argument("what", help="what is installed, in words")
    parser.add_argument("log", type=Path, help="where its output goes")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(argv)
    try:
        return install(chosen.what, chosen.log, chosen.command)
    except KeyboardInterrupt:
        print(f"\nInterrupted. The same command goes on; what was done is in {chosen.log}.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
