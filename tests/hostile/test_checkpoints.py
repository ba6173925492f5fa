"""Every hostile checkpoint, brought to POST /models: refused there with the reason, not when an endpoint loads it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.checkpoints import CHECKPOINTS
from tests.lambdas.gateway import Answer
from tests.lambdas.manage.conftest import Stage, add

pytestmark = pytest.mark.slow


MAX_PROBLEM_BYTES = 65_536


@pytest.fixture(scope="module")
def files(checkpoint_dir: Path) -> dict[str, bytes]:
    """The tiny CLIP's, which are good."""
    return {path.name: path.read_bytes() for path in checkpoint_dir.iterdir()}


@pytest.fixture
def bring(stage: Stage) -> Callable[[dict[str, bytes], str], Answer]:
    """Lays a folder where the one before was, and registers it as a version."""
    there: dict[str, bytes] = {}

    def register(files: dict[str, bytes], version: str) -> Answer:
        for name in there.keys() | files.keys():
            if name not in files:
                stage.bucket.Object(f"models/mine/{name}").delete()
            elif files[name] != there.get(name):
                stage.bucket.put_object(Key=f"models/mine/{name}", Body=files[name])
        there.clear()
        there.update(files)
        return add(stage, version=version)

    return register


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(CHECKPOINTS) >= 40


def test_the_folder_without_a_fault_is_taken(
    bring: Callable[[dict[str, bytes], str], Answer], files: dict[str, bytes]
) -> None:
    assert bring(files, "good").status == 201


def test_a_folder_with_a_fault_is_refused_with_the_reason(
    bring: Callable[[dict[str, bytes], str], Answer], files: dict[str, bytes]
) -> None:
    wrong = {}
    for number, (name, change) in enumerate(CHECKPOINTS.items()):
        folder = dict(files)
        change(folder)
        answer = bring(folder, f"bad-{number}")
        if answer.status != 400 or not 20 < len(answer.detail) < MAX_PROBLEM_BYTES:
            wrong[name] = f"{answer.status} {answer.text[:150]}"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
