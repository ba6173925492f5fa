"""The CDK CLI that package.json pins, run on this repository's app."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from operate.builder import REPOSITORY


def cdk_command(verb: Literal["deploy", "destroy"], stage: str, context: Sequence[str], *options: str) -> list[str]:
    """The command that does this to all stacks of a stage. `context`: knobs as name=value."""
    # The app by this very Python: whoever called it may not have it in PATH.
    app = ["--app", f"{shlex.quote(sys.executable)} app.py"]
    chosen = [word for pair in (*context, f"stage={stage}") for word in ("--context", pair)]
    return [str(REPOSITORY / "node_modules/.bin/cdk"), verb, "--all", *app, *options, *chosen]


def run_cdk(command: Sequence[str], folder: Path = REPOSITORY) -> int:
    """Run it where the app is, wherever the caller stands; it shows what it does. Its exit status."""
    return subprocess.run(command, cwd=folder, check=False).returncode  # noqa: S603 (the CLI that is pinned)
