"""Root becomes somebody else, for good."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.serving.privileges import drop_root

REPOSITORY_ROOT = Path(__file__).parents[3]

PROGRAM = """
import os
from model.serving.privileges import drop_root
drop_root("nobody")
print(os.getuid() != 0, os.getgid() != 0, os.getgroups())
try:
    os.setuid(0)
except PermissionError:
    print("for good")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give root up")
def test_root_becomes_nobody_and_can_not_go_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True []\nfor good\n"


@pytest.mark.skipif(os.getuid() != 0, reason="for others there is nothing to give up")
def test_an_unknown_user_is_an_error_and_not_root() -> None:
    with pytest.raises(KeyError, match="no-such-user"):
        drop_root("no-such-user")
