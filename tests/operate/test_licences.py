"""The table of licences: what it takes from a bill of materials, and that the committed one has all that is locked."""

import re
from pathlib import Path

import pytest

from operate.licences import licences, locked

ROOT = Path(__file__).parents[2]

NOT_HERE = re.compile(r"nvidia-|cuda-|triton$|colorama$|pywin32$|httpx2-jsfetch$")
"""Of other platforms and older Pythons, and what an NVIDIA GPU brings."""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([{"license": {"id": "MIT"}}], "MIT"),
        ([{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0"),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], "BSD License"),
        ([{"license": {"id": "MIT"}}, {"license": {"name": "License :: OSI Approved"}}], "MIT"),
        ([], "see the package"),
    ],
)
def test_a_licence_is_shown_as_its_package_says_it(said: list[dict[str, object]], shown: str) -> None:
    table = licences([{"name": "Some_Package", "version": "1.0", "licenses": said}], frozenset({"some-package"}))
    assert table.endswith(f"| Some_Package | 1.0 | {shown} | yes |\n")


def test_what_is_locked_is_in_the_committed_table_with_its_version() -> None:
    lines = (ROOT / "docs" / "licences.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("|")]
    listed = {(normal(name), version.split("+")[0]) for name, version in rows}
    pinned = re.findall(r"^([a-z0-9.-]+)==([^ \n]+)", (ROOT / "requirements.lock").read_text(), re.M)
    for name in {name for name, _ in pinned if not NOT_HERE.match(name)}:
        versions = {version for each, version in pinned if each == name}
        assert any((normal(name), version) in listed for version in versions), f"{name}: `make sbom` again"


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_the_names_of_a_lock_are_those_that_it_pins() -> None:
    assert locked("torch==2.13.0 \\\n    --hash=sha256:00\nnumpy==2.4.6 ; python_version > '3'\n") == {"torch", "numpy"}
