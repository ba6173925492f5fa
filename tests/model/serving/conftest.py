"""One server for all tests that need none of their own: to load a model takes longer than they do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.containers import ServeSettings
from tests.model.serving.http_client import Client, running


@pytest.fixture(scope="package")
def client(checkpoint_dir: Path, calibrated_checkpoint_dir: Path) -> Iterator[Client]:
    settings = ServeSettings(
        base_model_dir=calibrated_checkpoint_dir, model_dir=checkpoint_dir, model_workers=1, queue_budget_ms=60_000
    )
    with running(settings) as client:
        yield client
