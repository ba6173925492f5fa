"""The machine that a report was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

MATRIX_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
"""Instructions that decide how fast a CPU multiplies matrices, oldest first."""
LIBRARIES = ("torch", "transformers", "openvino", "numpy", "pillow", "simplejpeg")


def cpu_kind(cpu_facts: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's architecture, as a folder's name: reports of speed are kept by it, since ratios depend on it."""
    facts = _facts(cpu_facts)
    vendor, family, flags = facts.get("vendor_id"), facts.get("cpu family"), facts.get("flags", "").split()
    if (vendor, family) == ("AuthenticAMD", "26"):
        return "zen5"
    if (vendor, family) == ("AuthenticAMD", "25"):
        return "zen4" if "avx512_bf16" in flags else "zen3"
    if (vendor, family, facts.get("model")) == ("GenuineIntel", "6", "85") and "avx512_vnni" in flags:
        return "cascade-lake"
    numbers = (facts[name] for name in ("vendor_id", "cpu family", "model") if name in facts)
    return "-".join(numbers).lower() or platform.machine()


def machine(cpu_facts: Path = Path("/proc/cpuinfo")) -> str:
    """One line for a report: processor, cores, Python and the libraries that do the work."""
    facts = _facts(cpu_facts)
    processor = facts.get("model name") or platform.processor() or platform.machine()
    flags = [flag for flag in MATRIX_FLAGS if flag in facts.get("flags", "").split()]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{', '.join([processor, *flags])}; {os.cpu_count()} cores; {system}, {libraries}"


def _facts(cpu_facts: Path) -> dict[str, str]:
    """What the kernel tells of the last core, by name."""
    lines = cpu_facts.read_text().splitlines() if cpu_facts.is_file() else []
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
