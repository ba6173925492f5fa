from collections.abc import Iterator

import pytest

from tests.e2e.system import System, deployed


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A local system of the module's own, which is up."""
    with deployed(tmp_path_factory.mktemp("e2e") / "local") as system:
        yield system
