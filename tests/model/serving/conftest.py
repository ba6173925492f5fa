"""One server for all tests that need none of their own: to load a model takes longer than they do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.serving.http_client import Client, running, settings_for


@pytest.fixture(scope="package")
def client(checkpoint_dir: Path) -> Iterator[Client]:
    with running(settings_for(checkpoint_dir, queue_budget_ms=60_000)) as client:
        yield client
