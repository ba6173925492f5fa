"""A disk that is soon full: a file system of a given size, which lasts as long as one command."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_a_small_disk = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True).returncode != 0,
    reason="takes Linux's user namespaces",
)


def run_on_a_small_disk(
    folder: Path, size_bytes: int, command: list[str], env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a command does while `folder` is a disk of so many bytes, with what was in the folder on it."""
    script = (
        'content=$(mktemp -d) && cp -r "$0/." "$content" && mount -t tmpfs -o size=$1 tmpfs "$0" && '
        'cp -r "$content/." "$0" && rm -r "$content" && shift && exec "$@"'
    )
    inside = ["unshare", "--map-root-user", "--mount", "bash", "-c", script, str(folder)]
    return subprocess.run([*inside, str(size_bytes), *command], env=env, capture_output=True, text=True, timeout=120)
