"""The machine that a report was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")


def machine() -> str:
    """One line for a report: processor, cores, Python and the libraries that do the work."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "pillow"))
    return (
        f"{processor()}, {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}, {libraries}"
    )


def processor() -> str:
    """Its name, as the kernel or else the standard library knows it."""
    if CPU_FACTS.is_file():
        names = [line for line in CPU_FACTS.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()
