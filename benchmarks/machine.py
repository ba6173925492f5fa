"""The machine that a report was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

MATRIX_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
"""Instructions that decide how fast a CPU multiplies matrices, oldest first."""
LIBRARIES = ("torch", "transformers", "openvino", "numpy", "pillow", "simplejpeg")


def machine(cpu_facts: Path = Path("/proc/cpuinfo")) -> str:
    """One line for a report: processor, cores, Python and the libraries that do the work."""
    lines = cpu_facts.read_text().splitlines() if cpu_facts.is_file() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    processor = facts.get("model name") or platform.processor() or platform.machine()
    flags = [flag for flag in MATRIX_FLAGS if flag in facts.get("flags", "").split()]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{', '.join([processor, *flags])}; {os.cpu_count()} cores; {system}, {libraries}"
