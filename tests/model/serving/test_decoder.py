"""The process that decoders are forked from, and how decoders end."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model.serving.decoder import Decoder, Limits, Lost, Template
from tests.model.serving.decoder_processes import PREPARATION, alive, children_of, small_png
from tests.model.serving.http_client import wait_until

LIMITS = Limits(cpu_s=30, cpu_s_per_mpixel=0, memory_bytes=2**28, niceness=3)
TOLD = pickle.dumps(PREPARATION)
REPOSITORY_ROOT = Path(__file__).parents[3]


def ask(decoder: Decoder, data: bytes) -> dict[str, object]:
    return asyncio.run(decoder.ask(data, False, 64))


def test_a_decoder_answers_one_image_after_another_and_ends_when_it_is_closed() -> None:
    template = Template()
    decoder = Decoder(template, TOLD, LIMITS)
    assert ask(decoder, small_png()) == {"shape": [3, 32, 32], "shrunk_by": 1}
    assert ask(decoder, b"no image")["status"] == 422
    (child,) = children_of(template.pid)
    assert os.getpriority(os.PRIO_PROCESS, child) == os.getpriority(os.PRIO_PROCESS, 0) + 3
    decoder.close()
    wait_until(lambda: not alive(child))
    template.close()


def test_signals_to_the_servers_group_do_not_reach_decoders() -> None:
    template = Template()
    assert os.getpgid(template.pid) != os.getpgid(0)
    assert os.getsid(template.pid) == os.getsid(0)
    template.close()
    assert not alive(template.pid)


@pytest.mark.slow
def test_what_has_been_killed_is_started_again() -> None:
    template = Template()
    first = Decoder(template, TOLD, LIMITS)
    ask(first, small_png())
    (child,) = children_of(template.pid)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(Lost) as told:
        ask(first, small_png())
    assert told.value.started
    killed = template.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not alive(killed))
    assert ask(Decoder(template, TOLD, LIMITS), small_png())["shrunk_by"] == 1
    assert template.pid != killed
    template.close()


@pytest.mark.slow
def test_a_large_image_leaves_nothing_in_memory() -> None:
    template = Template()
    decoder = Decoder(template, TOLD, LIMITS)
    ask(decoder, small_png() + bytes(10_000_000))
    assert decoder.kept_bytes > 10_000_000
    decoder.forget()
    assert decoder.kept_bytes == 0
    assert ask(decoder, small_png())["shrunk_by"] == 1
    template.close()


PROGRAM = """
import asyncio, pickle
from benchmarks.serving.hostile_images import rle_bmp
from model.serving.decoder import Decoder, Template
from tests.model.serving.test_decoder import LIMITS, TOLD
template = Template()
decoder = Decoder(template, TOLD, LIMITS)
asyncio.run(decoder.ask(b"no image", False, 64))
print(template.pid, flush=True)
asyncio.run(decoder.ask(rle_bmp(900) * 1, False, 64))
asyncio.run(asyncio.sleep(60))
"""


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_decoder_behind_even_in_the_middle_of_an_image() -> None:
    server = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    template = int(server.stdout.readline())
    (child,) = children_of(template)
    server.kill()
    server.communicate()
    wait_until(lambda: not alive(child) and not alive(template), 5)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_decoders_of_root_are_somebody_else() -> None:
    template = Template("nobody")
    template.wait_until_up()
    decoder = Decoder(template, TOLD, LIMITS)
    ask(decoder, small_png())
    (child,) = children_of(template.pid)
    facts = dict(line.split(":", 1) for line in (Path("/proc") / str(child) / "status").read_text().splitlines())
    assert "0" not in facts["Uid"].split() + facts["Gid"].split()
    assert facts["Groups"].split() == []
    template.close()


def test_without_the_program_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    template = Template()
    with pytest.raises(OSError, match="has ended"):
        template.wait_until_up()
    template.close()
