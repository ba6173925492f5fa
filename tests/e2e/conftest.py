from collections.abc import Iterator

import pytest

from tests.e2e.system import TIERS, System, deployed


@pytest.fixture(scope="module")
def tier() -> str:
    """Who runs the model. A module whose tests are made of both says so."""
    return "endpoint"


@pytest.fixture(scope="module")
def system(tier: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A local system of the module's own, which is up."""
    with deployed(tmp_path_factory.mktemp("e2e") / "local", *TIERS[tier]) as system:
        yield system
