"""The machine that a report was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
MATRIX_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
"""Instructions that decide how fast a CPU multiplies matrices, oldest first."""

LIBRARIES = ("torch", "transformers", "openvino", "numpy", "pillow", "simplejpeg")


def machine() -> str:
    """One line for a report: processor, cores, Python and the libraries that do the work."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    core = ", ".join([processor(), *cpu_flags()])
    return f"{core}; {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}, {libraries}"


def processor() -> str:
    """Its name, as the kernel or else the standard library knows it."""
    return _fact("model name") or platform.processor() or platform.machine()


def cpu_flags() -> tuple[str, ...]:
    """Which of MATRIX_FLAGS it has, as the kernel names them; none where the kernel does not tell."""
    had = _fact("flags").split()
    return tuple(flag for flag in MATRIX_FLAGS if flag in had)


def _fact(name: str) -> str:
    lines = CPU_FACTS.read_text().splitlines() if CPU_FACTS.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
