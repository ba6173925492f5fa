"""This machine's pip settings, for the builds in a container: an index, a folder of wheels, a certificate.

Folders and files keep their paths, so that the settings hold unchanged; of the mounts only empty folders stay behind.
"""

import ast
import subprocess
import sys
from pathlib import Path

SECTIONS = ("global", "install", ":env:")
"""Of `pip config list`, the later ones first to be heeded."""
KEPT = (
    *("index-url", "extra-index-url", "no-index", "find-links", "constraint"),
    *("cert", "client-cert", "trusted-host", "proxy", "timeout", "default-timeout", "retries"),
)


def volumes(scratch: Path) -> list[str]:
    """The --volume options of a build. Writes a pip.conf into `scratch`."""
    settings = read_settings()
    configuration = scratch / "pip.conf"
    configuration.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items()), ""]))
    words = {word for value in settings.values() for word in value.split()}
    # an index's pages point to files beside it
    indexes = {str(Path(word.removeprefix("file://")).parent) for word in words if word.startswith("file://")}
    paths = indexes | {word for word in words if word.startswith("/")}
    mounts = [f"{path}:{path}:ro" for path in sorted(paths) if Path(path).exists()]
    return [f"--volume={mount}" for mount in [f"{configuration}:/etc/pip.conf:ro", *mounts]]


def read_settings() -> dict[str, str]:
    """What pip heeds here of what is KEPT; lists are separated by blanks."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in SECTIONS and name in KEPT:
            found[section][name] = " ".join(str(ast.literal_eval(value)).split())
    return {name: value for section in SECTIONS for name, value in found[section].items()}
