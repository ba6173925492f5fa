"""How `make test` deals the tests out to its processes, and how long the tests of properties look for an exception."""

import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

import lambdas  # noqa: F401 - it lets garbage lie for the sake of cold starts, and is not imported once more

gc.set_threshold(700, 10, 10)  # Python's own, so that what a test leaves open is found while it runs

# On a busy machine to draw an example may take long, which says nothing of what is tested.
settings.register_profile("wordsight", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wordsight")

ONE_SYNTH = "tests/stacks/"
FIRST = (
    *("tests/e2e/test_loop.py", "tests/e2e/test_api.py", "tests/e2e/test_teach.py"),
    *("tests/benchmarks/", "tests/e2e/", ONE_SYNTH, "tests/hostile/test_images.py", "tests/model/"),
)
"""What takes longest in one process begins first, so that no other process waits for it at the end. Each of three
processes gets two files at once: behind the three longest ones there are short ones.
"""


class FilesTogether(LoadScopeScheduling):
    """A file's tests run in one process, in their order: they may share a system. All of the stacks' do so, since
    a synth takes longer than what is asked of it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return ONE_SYNTH if file.startswith(ONE_SYNTH) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests as `make test` deals them out; those of a file keep theirs."""
    items.sort(key=lambda item: next((n for n, begin in enumerate(FIRST) if item.nodeid.startswith(begin)), len(FIRST)))
