import fcntl
import io
import os
import struct
import termios

import pytest

from wordsight.terminal import Progress, bar, duration, share_line, table, watch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_as_full_as_the_share() -> None:
    assert (bar(0), bar(0.5), bar(1.2)) == ("░" * 30, "█" * 15 + "░" * 15, "█" * 30)


def test_a_table_is_aligned_and_shows_what_is_missing() -> None:
    assert table([("A", "LONGER"), ("wide one", None)]) == "A         LONGER\nwide one  -"


def test_progress_replaces_its_line_on_a_terminal_and_adds_lines_elsewhere() -> None:
    for stream, expected in ((Terminal(), "\r\x1b[Ka\r\x1b[Kb\n"), (io.StringIO(), "a\nb\n")):
        progress = Progress(stream)
        for text in ("a", "a", "b"):
            progress.show(text)
        progress.end()
        assert stream.getvalue() == expected


def test_a_line_on_a_terminal_is_cut_to_its_width_and_nowhere_else() -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    with os.fdopen(ours, "rb", 0) as screen, os.fdopen(theirs, "w", encoding="utf-8") as stream:
        Progress(stream).show("accuracy 33 → 94 %  1:20 left")
        assert screen.read(1000).decode() == "\r\x1b[Kaccuracy 33 → 94 %…"
    elsewhere = io.StringIO()
    Progress(elsewhere).show("x" * 200)
    assert elsewhere.getvalue() == "x" * 200 + "\n"
    nowhere = Terminal()
    Progress(nowhere).show("x" * 200)
    assert len(nowhere.getvalue()) == len("\r\x1b[K") + 79


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (80, "1:20"), (3599.6, "1:00:00"), (36_005, "10:00:05")])
def test_a_duration_is_minutes_and_seconds_and_hours_where_there_are_some(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_how_far_something_is_needs_to_be_known_to_be_drawn() -> None:
    assert share_line(0, None, "planning") == "planning"
    assert share_line(1500, 2000, "running").endswith(" 1,500/2,000 running")


def test_watching_looks_until_it_is_over() -> None:
    states, pauses_s = iter(["running", "running", "done"]), []
    assert watch(lambda: next(states), str, "done".__eq__, pauses_s.append) == "done"
    assert len(pauses_s) == 2
