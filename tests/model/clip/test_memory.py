"""Memory that is freed goes back to the machine, or stays with a process that will ask for it again."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def told(program: str, how: str) -> float:
    """The number that a process of its own prints."""
    command = [sys.executable, "-c", program, how]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[-1])


BODIES = """
import sys
from pathlib import Path
from model.clip.memory import give_back

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if sys.argv[1] == "given back":
    give_back()
large = bytearray(30_000_000)
del large  # from now on glibc keeps what is as large, by itself
bodies = []
for _ in range(8):
    bodies.append(bytearray(20_000_000))
    bodies.append(bytearray(100_000))  # it lies behind the body, and stays
before_mb = resident_mb()
del bodies[::2]
print(before_mb - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_bodies_once_freed_go_back_to_the_machine() -> None:
    assert told(BODIES, "given back") > 150 > 50 > told(BODIES, "kept")


PHOTOS = """
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from model.clip.memory import give_back

if sys.argv[1] == "one heap":
    give_back()

def pages_of_photos():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bodies = [bytes([1]) * 3_200_000 for _ in range(2)]
        copies = [*pool.map(lambda body: body[1:], bodies)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with ThreadPoolExecutor(2) as pool:
    pages_of_photos()
    print(pages_of_photos())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_photos_have_had_is_there_for_the_next_ones_in_whichever_thread() -> None:
    assert 4 * told(PHOTOS, "one heap") < told(PHOTOS, "glibc's own")


STEPS = """
import resource
import sys
import torch
from model.training.__main__ import main

if sys.argv[1] == "in training":
    main(["--help"])

def pages_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    activations = [torch.ones(1_000_000) for _ in range(40)]
    del activations
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages_of_a_step()
pages_of_a_step()
print(pages_of_a_step())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_what_a_step_has_had_is_there_for_the_next_one() -> None:
    assert 20 * told(STEPS, "in training") < told(STEPS, "glibc's own")
