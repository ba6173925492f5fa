"""How `make test` deals the tests out to its processes, and how long the tests of properties look for an exception."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# On a busy machine to draw an example may take long, which says nothing of what is tested.
settings.register_profile("wordsight", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wordsight")

ONE_SYNTH = "tests/stacks/"


class FilesTogether(LoadScopeScheduling):
    """A file's tests run in one process, in their order: they may share a system. All of the stacks' do so, since
    a synth takes longer than what is asked of it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return ONE_SYNTH if file.startswith(ONE_SYNTH) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)
