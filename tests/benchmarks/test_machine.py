"""The machine that a report was measured on."""

import os
import platform
from pathlib import Path

import pytest

from benchmarks.machine import cpu_kind, machine

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


@pytest.mark.parametrize(
    ("vendor", "family", "model", "flags", "kind"),
    [
        ("AuthenticAMD", "26", "2", "avx512_bf16 avx_vnni", "zen5"),
        ("AuthenticAMD", "25", "17", "avx512_bf16", "zen4"),
        ("AuthenticAMD", "25", "1", "avx2", "zen3"),
        ("GenuineIntel", "6", "85", "avx512_vnni", "cascade-lake"),
        ("GenuineIntel", "6", "143", "amx_bf16", "genuineintel-6-143"),
    ],
)
def test_a_kind_of_processor_has_a_name_of_its_own(
    tmp_path: Path, vendor: str, family: str, model: str, flags: str, kind: str
) -> None:
    facts = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nflags\t\t: fpu {flags}\n"
    (tmp_path / "cpuinfo").write_text(facts)
    assert cpu_kind(tmp_path / "cpuinfo") == kind


def test_where_the_kernel_tells_nothing_the_kind_is_the_instruction_set(tmp_path: Path) -> None:
    assert cpu_kind(tmp_path / "none") == platform.machine()
