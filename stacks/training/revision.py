"""Which commit of this repository is deployed."""

import subprocess

from stacks.images import REPOSITORY_ROOT

UNKNOWN = "unknown"


def git_revision() -> str:
    """The commit's 40 digits, with -dirty behind it if files differ from it; "unknown" for a copy without git."""
    command = ["git", "-C", str(REPOSITORY_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words only
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return done.stdout.strip()
