"""A model's validator is made at its first use, which may be several threads' first use."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Any

from contract.deferred import Deferred


def test_nothing_is_made_of_a_model_before_it_is_used() -> None:
    class Point(Deferred):
        x: int

    assert not Point.__pydantic_complete__
    assert Point.model_validate({"x": "1"}).x == 1
    assert Point.__pydantic_complete__


class _Slow:
    """In the type of a field: what is made of it waits for other threads that make it as well."""

    def __init__(self, threads: int) -> None:
        self.together = threading.Barrier(threads)
        self.made = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        self.made += 1
        with suppress(threading.BrokenBarrierError):  # only one may be here: then the other does not come
            self.together.wait(0.2)
        return handler(source)


def test_threads_that_use_a_model_for_the_first_time_together_have_it_made_once() -> None:
    slow = _Slow(threads=2)

    class Point(Deferred):
        x: Annotated[int, slow]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda x: Point.model_validate({"x": x}).x, ["1", "2"]))
    assert (found, slow.made) == ([1, 2], 1)
