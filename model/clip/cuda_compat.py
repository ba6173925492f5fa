"""CUDA forward compatibility: a newer libcuda from the image, for a host whose NVIDIA driver is older than the image.

AWS's deep learning containers bring one and choose it in their entrypoint, which ours replaces. The slim image brings
none, and then nothing happens. https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

COMPAT_DIR = Path("/usr/local/cuda/compat")
DRIVER_FILE = Path("/proc/driver/nvidia/version")
LIBRARY_PATH = "LD_LIBRARY_PATH"


def restart_with_compatible_libcuda() -> None:
    """Start this process anew where the image's libcuda must be found first: the dynamic linker reads its path when a
    process starts. Elsewhere nothing happens.
    """
    environment = compat_environment(os.environ)
    if environment is not None:
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - no shell, our own command line


def compat_environment(
    environ: Mapping[str, str], compat_dir: Path = COMPAT_DIR, driver_file: Path = DRIVER_FILE
) -> dict[str, str] | None:
    """The environment in which the image's libcuda is found first, or None if the host's own is to be used."""
    ours, hosts = _compat_version(compat_dir / "libcuda.so.1"), _driver_version(driver_file)
    searched = environ.get(LIBRARY_PATH, "").split(":")
    if ours is None or hosts is None or hosts >= ours or str(compat_dir) in searched:
        return None
    return {**environ, LIBRARY_PATH: ":".join([str(compat_dir), *filter(None, searched)])}


def _compat_version(library: Path) -> tuple[int, ...] | None:
    """The link points to a file named after the driver it belongs to: libcuda.so.580.65.06."""
    return _version(library.resolve().name.removeprefix("libcuda.so.")) if library.exists() else None


def _driver_version(file: Path) -> tuple[int, ...] | None:
    """From `… Kernel Module  535.183.01  …`, or `… Open Kernel Module for x86_64  580.65.06  …`."""
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", file.read_text()) if file.exists() else None
    return _version(found[1]) if found else None


def _version(text: str) -> tuple[int, ...] | None:
    return tuple(int(part) for part in text.split(".")) if re.fullmatch(r"\d+(\.\d+)+", text) else None
