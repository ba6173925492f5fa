"""The lock files: what is installed is pinned and has a hash, everywhere the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTS = {
    "requirements.lock": ("requirements.txt", "tests/requirements.txt", "operate/requirements.txt"),
    "model/requirements.lock": tuple(
        str(path.relative_to(ROOT)) for path in sorted((ROOT / "model").rglob("requirements*.txt"))
    ),
}
"""By lock file, the lists that it was made of."""


def locked(path: str) -> dict[str, list[str]]:
    """By name and version, such as "torch==2.13.0", the hashes of its files."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / path).read_text()):
        found[re.split(r"[ \\;]", entry)[0]] = re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
    return found


def pins(path: str) -> set[str]:
    """What a list asks for, those that it includes left out."""
    lines = (line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    return {re.sub(r"_", "-", line) for line in lines if line and not line.startswith("-r")}


@pytest.mark.parametrize("lock", LISTS)
def test_every_requirement_is_locked_at_its_version_with_the_hashes_of_its_files(lock: str) -> None:
    found = locked(lock)
    asked = {pin for path in LISTS[lock] for pin in pins(path)}
    assert len(asked) > 10
    assert asked <= found.keys(), "`make lock` again"
    assert all(found.values())


def test_the_images_and_this_machine_take_the_same_files() -> None:
    everywhere = locked("requirements.lock")
    assert {entry: everywhere.get(entry) for entry in locked("model/requirements.lock")} == locked(
        "model/requirements.lock"
    )


@pytest.mark.parametrize("lock", LISTS)
def test_torch_without_cuda_is_let_in_for_each_python(lock: str) -> None:
    listed = (ROOT / "model" / "torch-cpu.sha256").read_text()
    hashes = dict(re.findall(r"^([0-9a-f]{64})  torch-([^-]+)-", listed, re.M))
    (entry,) = [entry for entry in locked(lock) if entry.startswith("torch==")]
    assert set(hashes.values()) == {f"{entry.removeprefix('torch==')}+cpu"}
    assert hashes.keys() <= set(locked(lock)[entry])
    assert len(hashes) >= 4


def test_whoever_installs_asks_for_hashes() -> None:
    makefile, dockerfile = (ROOT / "Makefile").read_text(), (ROOT / "model" / "Dockerfile").read_text()
    assert "LOCKED = $(PIP) --require-hashes --constraint requirements.lock" in makefile
    installing = [line for line in makefile.splitlines() if re.search(r"\bpip .*install|\$\(PIP\)|\$\(LOCKED\)", line)]
    peers = [line for line in installing if not re.search(r"--require-hashes|\$\(LOCKED\)|^PIP = ", line)]
    assert all(".bench" in line or "$<" in line or "$@" in line for line in peers), peers
    assert "ENV PIP_REQUIRE_HASHES=1 PIP_CONSTRAINT=model/requirements.lock" in dockerfile
    assert dockerfile.index("ENV PIP_REQUIRE_HASHES=1") < dockerfile.index("pip install")


def test_the_images_base_is_named_by_its_digest() -> None:
    assert re.search(
        r"^ARG BASE_IMAGE=python:3\.12\.\d+-slim-\w+@sha256:[0-9a-f]{64}$",
        Path(ROOT / "model" / "Dockerfile").read_text(),
        re.M,
    )
