"""What all hostile inputs are sent to: a container, and the API's functions over one bucket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lambdas.conftest import (  # noqa: F401 - fixtures
    _account_that_is_nobodys,
    _s3,
    annotate,
    bucket,
    call,
    resolve,
    sagemaker,
)
from tests.lambdas.importer.conftest import worker  # noqa: F401
from tests.lambdas.manage.conftest import stage  # noqa: F401
from tests.model.conftest import checkpoint_dir  # noqa: F401
from tests.model.serving.http_client import Client, running, settings_for


@pytest.fixture(scope="package")
def client(checkpoint_dir: Path) -> Iterator[Client]:  # noqa: F811
    """A container with the tiny CLIP, for all of these tests."""
    with running(settings_for(checkpoint_dir, queue_budget_ms=60_000)) as client:
        yield client
