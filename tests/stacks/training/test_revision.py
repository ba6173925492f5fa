import subprocess

import pytest

from stacks.images import REPOSITORY_ROOT
from stacks.training.revision import UNKNOWN, git_revision


def test_it_is_the_commit_with_a_mark_if_files_differ() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY_ROOT, capture_output=True, text=True)
    if head.returncode:
        assert git_revision() == UNKNOWN  # a copy without git
    else:
        assert git_revision().removesuffix("-dirty") == head.stdout.strip()


def test_a_machine_without_git_deploys_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_revision() == UNKNOWN
