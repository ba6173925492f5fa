"""Programs in processes of their own."""

import os
from pathlib import Path

import pytest

from benchmarks.process import ProcessError, finished_children_cpu_s, peak_bytes, pinned, run_python, usage

BUSY = "import time\nwhile time.process_time() < 0.2: pass"


def test_what_a_program_prints_is_added_to_its_log_and_its_cpu_is_known(tmp_path: Path) -> None:
    log, before_s = tmp_path / "logs/one.txt", finished_children_cpu_s()
    assert run_python(["-c", "import os; print(os.environ['WORD'])"], log, WORD="first") == "first\n"
    assert run_python(["-c", BUSY + "\nprint('second')"], log) == "first\nsecond\n" == log.read_text()
    assert finished_children_cpu_s() - before_s > 0.2


def test_a_program_that_fails_is_said_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=r"(?s)python -c .* failed: no such thing"):
        run_python(["-c", "raise SystemExit('no such thing')"], tmp_path / "log")


def test_a_session_uses_cpu_and_memory_and_one_that_has_ended_none() -> None:
    mine = usage(os.getsid(0))
    assert mine.cpu_s > 0 and mine.rss_bytes > 1_000_000 and peak_bytes() > 1_000_000
    gone = usage(2**22 + 1)
    assert (gone.cpu_s, gone.rss_bytes) == (0, 0)


def test_work_is_kept_on_its_cores_until_the_end_of_the_block() -> None:
    before = os.sched_getaffinity(0)
    with pinned({min(before)}):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
