"""Which instance holds a server, and what of a server is counted."""

import os
import subprocess
import sys

from benchmarks.serving.memory import gemma_tokenizer, peak_bytes, smallest_instance


def test_an_instance_holds_the_peak_and_what_else_is_needed() -> None:
    assert smallest_instance(3.0) == "ml.c7i.large" and smallest_instance(3.1) == "ml.c7i.xlarge"
    assert smallest_instance(40) == "none of these"


def test_every_word_of_the_tokenizer_is_reached_by_its_merges() -> None:
    tokenizer = gemma_tokenizer(6 + 52 + 52 * 52 + 10)
    assert len(tokenizer) == 6 + 52 + 52 * 52 + 10
    assert tokenizer.tokenize("aaj") == ["aaj"] and tokenizer.tokenize("zz") == ["zz"]


def test_what_a_process_has_given_back_is_in_its_peak() -> None:
    program = "import os; data = bytearray(os.urandom(1)) * 200_000_000; del data; print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        assert 200_000_000 < peak_bytes(process.pid) < 400_000_000
    finally:
        process.communicate(b"\n")
    assert peak_bytes(os.getpid() + 10**7) == 0
