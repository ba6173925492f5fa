"""Servers as processes, by one of the standard library's."""

import sys
from pathlib import Path

import pytest

from benchmarks.process import ProcessError
from benchmarks.serving.client import get
from benchmarks.serving.load import clients
from benchmarks.serving.server import Server, running

SERVING = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--protocol", "HTTP/1.1"]
NESTED = f"""
import signal, subprocess
child = subprocess.Popen({SERVING!r})
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
child.wait()
"""
FAILING = [sys.executable, "-c", "raise SystemExit('no model here')"]


def test_a_server_is_up_within_the_block_and_what_it_costs_is_known(tmp_path: Path) -> None:
    server = Server("files", SERVING, {}, ping="/LICENSE")
    with running([server], logs=tmp_path) as up:
        assert up == [server]
        load = clients(up, iter([get("/LICENSE")] * 4), count=2, seconds=0, at_least=2)
        assert len(load.answered) == 4
        assert server.usage.cpu_s > 0 and load.rss_bytes > 1_000_000
    with pytest.raises(ProcessError, match="files is not running"):
        _ = server.usage


def test_a_server_that_ends_at_once_is_said_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ProcessError, match="broken did not start: no model here"):
        Server("broken", FAILING, {}).start(tmp_path / "log")
    with running([Server("broken", FAILING, {}), Server("files", SERVING, {}, ping="/LICENSE")], logs=tmp_path) as up:
        assert [server.name for server in up] == ["files"]
    assert "no model here" in capsys.readouterr().err


def test_a_servers_usage_has_its_childrens(tmp_path: Path) -> None:
    lone = Server("files", SERVING, {}, ping="/LICENSE")
    nested = Server("nested", [sys.executable, "-c", NESTED], {}, ping="/LICENSE")
    with running([lone, nested], logs=tmp_path) as up:
        assert up == [lone, nested]
        assert nested.usage.rss_bytes > 1.5 * lone.usage.rss_bytes
