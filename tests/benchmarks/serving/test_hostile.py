"""How an attack is put together and measured."""

import os

from benchmarks.serving.hostile import MemoryWatch, how_many, session_bytes
from contract.limits import MAX_IMAGES


def test_a_list_holds_as_many_as_one_request_may_carry() -> None:
    assert how_many(b"small") == MAX_IMAGES
    assert how_many(bytes(5_000_000)) == 4
    assert how_many(bytes(50_000_000)) == 1


def test_the_memory_of_a_session_is_seen_to_grow() -> None:
    session = os.getsid(0)
    assert session_bytes(session) > 10_000_000
    assert session_bytes(2**22 + 1) == 0, "there is no such session"
    with MemoryWatch(session) as watch:
        pass
    assert watch.peak_bytes >= watch.before_bytes > 0
