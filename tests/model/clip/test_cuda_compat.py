"""The image's libcuda is used exactly where the host's driver is older."""

from pathlib import Path

import pytest

from model.clip.cuda_compat import compat_environment

PROPRIETARY = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Tue May 14 2024\nGCC version: 12.3.0\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder)\nGCC version: 12.3.0\n"


@pytest.fixture
def compat_dir(tmp_path: Path) -> Path:
    """As NVIDIA's package leaves it: a link to a library that is named after its driver."""
    directory = tmp_path / "compat"
    directory.mkdir()
    (directory / "libcuda.so.580.65.06").touch()
    (directory / "libcuda.so.1").symlink_to("libcuda.so.580.65.06")
    return directory


def driver(tmp_path: Path, line: str, version: str) -> Path:
    file = tmp_path / "version"
    file.write_text(line.format(version))
    return file


@pytest.mark.parametrize("line", [PROPRIETARY, OPEN])
@pytest.mark.parametrize("version", ["470.256.02", "535.183.01", "580.65.05"])
def test_an_older_host_gets_the_images_library_first(compat_dir: Path, tmp_path: Path, line: str, version: str) -> None:
    environ = {"LD_LIBRARY_PATH": "/usr/lib", "HOME": "/"}
    changed = compat_environment(environ, compat_dir, driver(tmp_path, line, version))
    assert changed == {"LD_LIBRARY_PATH": f"{compat_dir}:/usr/lib", "HOME": "/"}
    assert environ["LD_LIBRARY_PATH"] == "/usr/lib"


def test_the_second_start_changes_nothing_more(compat_dir: Path, tmp_path: Path) -> None:
    file = driver(tmp_path, PROPRIETARY, "535.183.01")
    changed = compat_environment({}, compat_dir, file)
    assert changed == {"LD_LIBRARY_PATH": str(compat_dir)}
    assert compat_environment(changed, compat_dir, file) is None


@pytest.mark.parametrize("version", ["580.65.06", "580.100.01", "590.1"])
def test_a_host_as_new_as_the_image_keeps_its_own(compat_dir: Path, tmp_path: Path, version: str) -> None:
    assert compat_environment({}, compat_dir, driver(tmp_path, OPEN, version)) is None


def test_without_a_driver_or_a_library_nothing_happens(compat_dir: Path, tmp_path: Path) -> None:
    assert compat_environment({}, compat_dir, tmp_path / "absent") is None
    assert compat_environment({}, tmp_path / "absent", driver(tmp_path, OPEN, "470.1")) is None
    assert compat_environment({}, compat_dir, driver(tmp_path, "something else {}", "470.1")) is None
