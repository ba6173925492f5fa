"""Every hostile checkpoint, brought to POST /models: refused there with the reason, not when an endpoint loads it."""

from pathlib import Path

import pytest

from tests.hostile.checkpoints import CHECKPOINTS
from tests.lambdas.gateway import Answer
from tests.lambdas.manage.conftest import Stage, add

MAX_PROBLEM_BYTES = 65_536


@pytest.fixture(scope="module")
def files(checkpoint_dir: Path) -> dict[str, bytes]:
    """The tiny CLIP's, which are good."""
    return {path.name: path.read_bytes() for path in checkpoint_dir.iterdir()}


def bring(stage: Stage, files: dict[str, bytes], folder: str) -> Answer:
    """Register what lies there then."""
    for name, content in files.items():
        stage.bucket.put_object(Key=f"models/{folder}/{name}", Body=content)
    return add(stage, s3_uri=f"s3://{stage.bucket.name}/models/{folder}", version=folder)


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(CHECKPOINTS) >= 40


def test_the_folder_without_a_fault_is_taken(stage: Stage, files: dict[str, bytes]) -> None:
    assert bring(stage, files, "good").status == 201


def test_a_folder_with_a_fault_is_refused_with_the_reason(stage: Stage, files: dict[str, bytes]) -> None:
    wrong = {}
    for number, (name, change) in enumerate(CHECKPOINTS.items()):
        folder = dict(files)
        change(folder)
        answer = bring(stage, folder, f"bad-{number}")
        if answer.status != 400 or not 20 < len(answer.detail) < MAX_PROBLEM_BYTES:
            wrong[name] = f"{answer.status} {answer.text[:150]}"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
