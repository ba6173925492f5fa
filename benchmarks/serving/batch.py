"""A batch of 2,000 images against what the endpoint answers when asked directly: serving-batch.md, by kind of CPU.

    python -m benchmarks.serving.batch

Both on this machine, with a model of CLIP's size, in turns: the whole local system classifies photographs that lie in
its bucket, and a server as it is shipped is asked about the same ones by clients.
The batch pays for the emulator too, which stands for S3, Lambda and Step Functions on the same cores.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import REPORTS, ROOT
from benchmarks.machine import cpu_kind, machine
from benchmarks.serving.bars import BATCH, bar_table
from benchmarks.serving.load import clients
from benchmarks.serving.requests import CHECKPOINT, labels, photos, vga_questions, write_clip
from benchmarks.serving.server import WORK, free_port, ours, running
from local.settings import DIRECTORY_VARIABLE, PORT_VARIABLE, LocalSettings
from model.evaluation.report import markdown

IMAGES = 2000
ROUNDS = 3
CLIENTS, DIRECT_S = 8, 20.0


class LocalSystem:
    """The whole product on this machine, through its commands."""

    def __init__(self, directory: Path) -> None:
        self._environ = os.environ | {DIRECTORY_VARIABLE: str(directory), PORT_VARIABLE: str(free_port())}
        self._settings = LocalSettings.from_env(self._environ)

    def local(self, *arguments: str) -> None:
        """`python -m local`. Raises CalledProcessError."""
        command = [sys.executable, "-m", "local", *arguments]
        subprocess.run(command, cwd=ROOT, env=self._environ, check=True)  # noqa: S603 - our own program

    def wordsight(self, *arguments: str) -> Any:
        """What a command of the command line answers. Raises CalledProcessError."""
        environ = self._environ | {
            "WORDSIGHT_URL": self._settings.url_file.read_text().strip(),
            "WORDSIGHT_API_KEY": self._settings.api_key_file.read_text().strip(),
        }
        command = [sys.executable, "-m", "wordsight", *arguments, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True)  # noqa: S603
        return json.loads(done.stdout)


def collection(directory: Path) -> Path:
    """Photographs of VGA size, as many as the batch has; some are the same."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for number, image in zip(range(IMAGES), itertools.cycle(photos("VGA", 8)), strict=False):
        (directory / f"{number:04}.jpg").write_bytes(image)
    return directory


def batch_per_s(system: LocalSystem, manifest: str) -> float:
    """Images a second, from the request to the end of the batch. Raises CalledProcessError if it fails,
    and RuntimeError if an image has no answer.
    """
    started_s = time.monotonic()
    done = system.wordsight("batch", "--manifest", manifest, "--labels", ",".join(labels(10)), "--watch")
    taken_s = time.monotonic() - started_s
    if (done["state"], done["results"]) != ("done", IMAGES):
        raise RuntimeError(f"the batch is {done['state']} with {done['results']} of {IMAGES} answers")
    return IMAGES / taken_s


def main() -> None:
    write_clip()
    system = LocalSystem(WORK / "local")
    try:
        system.local("up", "--model", str(CHECKPOINT))
        uploaded = system.wordsight("batch", str(collection(WORK / "collection")), "--labels", "a,b")
        rounds = []
        with running([ours("direct", CHECKPOINT)]) as servers:
            clients(servers, itertools.cycle(vga_questions()), CLIENTS, 5)
            for _ in range(ROUNDS):
                direct = clients(servers, itertools.cycle(vga_questions()), CLIENTS, DIRECT_S).per_s
                rounds.append((batch_per_s(system, uploaded["s3_key"]), direct))
                print(f"batch {rounds[-1][0]:.1f} images/s, direct {direct:.1f}", flush=True)
    finally:
        system.local("destroy")
    goal = REPORTS / cpu_kind() / "serving-batch.md"
    goal.parent.mkdir(exist_ok=True)
    goal.write_text(report(rounds))


def report(rounds: Sequence[tuple[float, float]]) -> str:
    """As Markdown, of (images a second of the batch, of direct load) by round."""
    ratio = median(batch / direct for batch, direct in rounds)
    rows = [[f"{batch:.1f}", f"{direct:.1f}", f"{batch / direct:.2f}"] for batch, direct in rounds]
    return f"""# How fast a batch is

`python -m benchmarks.serving.batch` wrote this file: {IMAGES:,} VGA photographs that lie in the bucket of the local
system, 10 labels, a ViT-B/32 with random weights; from the request of the batch to its end, planning included. Direct
is a server of its own that {CLIENTS} clients ask. They take turns on the same cores, and the batch pays for the
emulator.

{bar_table(BATCH, {"batch": ratio})}

{markdown(["batch, images/s", "direct, images/s", "ratio"], rows)}

{machine()}
"""


if __name__ == "__main__":
    main()
