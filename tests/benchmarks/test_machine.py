"""The machine that a report was measured on."""

import os
import platform
from pathlib import Path

from benchmarks.machine import machine

FACTS = """processor\t: 0
model name\t: A Processor
flags\t\t: fpu amx_int8 avx2 sse

processor\t: 1
model name\t: A Processor
flags\t\t: fpu amx_int8 avx2 sse
"""


def test_the_processor_is_named_with_the_instructions_that_multiply_matrices(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(FACTS)
    said = machine(tmp_path / "cpuinfo")
    assert said.startswith(f"A Processor, avx2, amx_int8; {os.cpu_count()} cores; {platform.system()}, Python ")
    assert "torch " in said and "pillow " in said


def test_where_the_kernel_does_not_tell_the_standard_library_does(tmp_path: Path) -> None:
    known = platform.processor() or platform.machine()
    assert machine(tmp_path / "none").startswith(f"{known}; ")
