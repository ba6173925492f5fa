"""What the README says beyond classifying works when it is pasted: buckets, annotations, trainings, promotions."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from benchmarks.pictograms import pictogram
from local import processes
from local.settings import LocalSettings
from tests.e2e.test_local import UNHURRIED, System
from tests.local.conftest import ROOT, free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = ("## Classify a whole bucket", "### Annotate", "### Train", "### Go live, and back", "## From a shell")
PETS_PER_LABEL = 12
CLASSES = 10
"""Of the pictograms, which take turns; the first one stands for every pet."""

FIVE_EPOCHS = "--set epochs=5 --watch"
TWO_STEPS = "--set steps=2 --set selection_scenes=100 --set evaluation_scenes=100 --watch && exit 2 || [ $? = 1 ]"
"""Five epochs are as many minutes, which nobody waits for here. Two steps teach nothing: the gate refuses the model."""

AWS = """
aws() { .venv/bin/python - "$3" "$4" <<'END'
import sys, pathlib, boto3
folder, uri = sys.argv[1:]
bucket, _, prefix = uri.removeprefix("s3://").partition("/")
for path in pathlib.Path(folder).rglob("*"):
    if path.is_file():
        boto3.client("s3").upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())
END
}
curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }
set -e
"""
"""`aws s3 sync` for machines without AWS's own program, and a curl that takes a 4xx for a failure."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("readme") / "local"
    system = System(LocalSettings(ROOT, directory, free_port()))
    up = system.run("up", *UNHURRIED)
    assert up.returncode == 0, up.stdout + up.stderr
    yield system
    system.run("destroy")
    processes.stop(directory)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples call theirs."""
    desk = tmp_path_factory.mktemp("desk")
    for label, number in (("cat", 0), ("dog", 1)):
        (desk / "my-pets" / label).mkdir(parents=True)
        for index in range(PETS_PER_LABEL):
            image, _ = pictogram(number, index * CLASSES)
            image.save(desk / f"my-pets/{label}/{index}.png")
    (desk / "my-welds").mkdir()
    for index in range(3):
        weld = Image.new("RGB", (64, 64), "grey")
        ImageDraw.Draw(weld).line((0, 20 * index, 64, 40), fill="black", width=3)
        weld.save(desk / f"my-welds/{index}.png")
    shutil.copytree(ROOT / "model/shipped", desk / "my-clip")
    (desk / "local").symlink_to(ROOT / "local")
    (desk / ".venv/bin").mkdir(parents=True)
    (desk / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (desk / ".venv/bin/python").chmod(0o755)
    return desk


def examples(heading: str) -> list[str]:
    """The shell blocks of a section, in their order."""
    section = re.split(r"\n##", README.split(f"\n{heading}\n")[1])[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("heading", SECTIONS)
def test_the_examples_work_when_pasted(system: System, desk: Path, heading: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "URL": system.url,
        "KEY": system.api_key,
        "WORDSIGHT_URL": system.url,
        "WORDSIGHT_API_KEY": system.api_key,
        "DATA_BUCKET": system.output("DataBucketName"),
        "ARTIFACTS_BUCKET": system.output("ArtifactsBucketName"),
        **dict(re.findall(r"export (\w+)='?([^'\n]*)'?", system.run("env").stdout)),
    }
    blocks = examples(heading)
    assert blocks
    for block in blocks:
        block = block.replace(FIVE_EPOCHS, TWO_STEPS)
        done = subprocess.run(
            ["bash", "-c", AWS + block], cwd=desk, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
