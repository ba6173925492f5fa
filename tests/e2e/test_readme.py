"""What README and docs/ say works when it is pasted, page after page, each from its beginning to its end."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from benchmarks.learning.domains import pictogram
from local.settings import DIRECTORY_VARIABLE
from tests.e2e.system import System, deployed
from tests.local.conftest import ROOT
from tests.readme import PASTED, Block, pasted

PETS_PER_LABEL = 80
CLASSES = 10
"""Of the pictograms, which take turns; the first one stands for every pet."""

TWO_STEPS = ["steps=2", "precision=fp32", "selection_scenes=100", "evaluation_scenes=100"]
"""Instead of five epochs, which are as many minutes. They teach nothing: the gate refuses the model."""
SHORTER = {
    "--set epochs=5 --watch": " ".join(f"--set {each}" for each in TWO_STEPS) + " --watch && exit 2 || [ $? = 1 ]",
    "--out tuned epochs=5": f"--out tuned {' '.join(TWO_STEPS)}",
    "model.evaluation --checkpoint model/shipped\n": "model.evaluation --checkpoint model/shipped --scenes 100\n",
}

AWS = """
import re, sys, pathlib, boto3
service, operation, *arguments = sys.argv[1:]
if operation == "sync":
    folder, uri = arguments
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            boto3.client("s3").upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())
else:
    camel = lambda name: re.sub("-(.)", lambda found: found[1].upper(), name.removeprefix("--"))
    given = dict(zip(map(camel, arguments[::2]), arguments[1::2], strict=True))
    member, _ = given.pop("query", None), given.pop("output", None)
    answer = getattr(boto3.client(service), operation.replace("-", "_"))(**given)
    print(answer[member] if member else answer)
"""
"""`aws`, as far as the examples need it, for machines without AWS's own program."""

SHELL = f"""
aws() {{ .venv/bin/python - "$@" <<'END'
{AWS}
END
}}
wordsight() {{ .venv/bin/python -m wordsight "$@"; }}
curl() {{ command curl --silent --show-error --fail-with-body "$@" && echo; }}
set -eu -o pipefail
"""
"""`wordsight` as `pip install .` makes it, and a curl that takes a 4xx for a failure."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """As `make local` leaves it: with the limits of a stage, too."""
    with deployed(tmp_path_factory.mktemp("readme") / "local") as system:
        yield system


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, system: System) -> Path:
    """A folder like the repository's, with what the examples call theirs."""
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
    for folder in ("local", "model"):
        (desk / folder).symlink_to(ROOT / folder)
    (desk / ".local").symlink_to(system.settings.directory)
    (desk / ".venv/bin").mkdir(parents=True)
    (desk / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (desk / ".venv/bin/python").chmod(0o755)
    return desk


def in_a_shell(block: Block) -> str:
    """The block as a person runs it who has a shell open."""
    language, code = block
    return code if language == "sh" else f".venv/bin/python - <<'END'\n{code}END\n"


@pytest.mark.slow
@pytest.mark.parametrize("document", PASTED)
def test_the_examples_work_when_pasted(system: System, desk: Path, document: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        DIRECTORY_VARIABLE: str(system.settings.directory),
        "WORDSIGHT_URL": system.url,
        "WORDSIGHT_API_KEY": system.api_key,
    }
    script = "".join(map(in_a_shell, pasted(document)))
    for long, short in SHORTER.items():
        script = script.replace(long, short)
    done = subprocess.run(
        ["bash", "-c", SHELL + script], cwd=desk, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
