"""Who is let in: by the wait, by memory, and by what was learnt of the speed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from contract.problems import TooManyRequests
from model.serving.admission import Admission, Work


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def admission_of(clock: Clock, **options: float) -> Admission:
    return Admission(budget_s=options.get("budget_s", 0.5), max_bytes=int(options.get("max_bytes", 100)), clock_s=clock)


def answer(admission: Admission, clock: Clock, seconds: float) -> None:
    with working_on(admission, 1):
        clock.now_s += seconds


@contextmanager
def working_on(admission: Admission, images: int) -> Iterator[Work]:
    with admission.working() as work, work.queuing(images):
        yield work


def test_nobody_waits_behind_no_one_however_slow_it_is() -> None:
    admission = admission_of(Clock())
    admission.expect(s_per_image=60)
    admission.check_wait()


def test_the_wait_is_the_work_before_at_the_speed_of_late() -> None:
    clock = Clock()
    admission = admission_of(clock)
    admission.expect(s_per_image=9)
    for _ in range(200):
        answer(admission, clock, 0.1)
    with ExitStack() as others:
        for _ in range(4):
            others.enter_context(working_on(admission, 1))
        assert admission.wait_s == pytest.approx(0.4, rel=0.01)
        admission.check_wait()
        with (
            working_on(admission, 1),
            working_on(admission, 1),
            pytest.raises(TooManyRequests, match=r"6 images wait .* 0.6 s, .* 0.5 s") as told,
        ):
            admission.check_wait()
        assert told.value.retry_after_s == 1
        admission.check_wait()
    assert admission.refusals == {"wait": 1}


def test_images_that_are_done_side_by_side_count_as_the_faster_server_they_are() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        with working_on(admission, 1), working_on(admission, 1), working_on(admission, 2):
            clock.now_s += 0.4
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_who_takes_turns_stands_before_others_with_one_turn_and_counts_whole_when_done() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        with admission.working() as work:
            for _ in range(8):
                assert admission.images == 1
                with work.queuing(8):
                    assert admission.images == 1
                    clock.now_s += 0.8
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_what_is_slow_for_a_reason_of_its_own_stands_before_nobody_and_tells_nothing_of_the_speed() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
    with admission.working() as slow:
        slow.step_aside()
        clock.now_s += 8
        assert (admission.images, admission.wait_s) == (0, 0)
        answer(admission, clock, 0.1)
        with slow.queuing(2):
            assert admission.images == 1
        assert admission.images == 0
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_a_list_that_would_not_be_through_in_time_beside_the_others_is_refused() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
    with admission.working() as alone:
        alone.has(1_000)  # whoever is alone is let in
    with working_on(admission, 1), admission.working() as work:
        work.has(1)
        work.has(40)
        with pytest.raises(TooManyRequests, match="60 images would take about 12 s beside 1 other requests") as told:
            work.has(60)
    assert told.value.retry_after_s == 2
    assert admission.refusals == {"list": 1}


def test_a_request_that_brings_nothing_for_the_model_tells_nothing_of_its_speed() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
    for _ in range(100):
        with working_on(admission, 0):
            clock.now_s += 0.001
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_idle_time_is_not_taken_for_slowness() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
        clock.now_s += 3600
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_a_change_of_speed_is_noticed_within_seconds() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(1000):
        answer(admission, clock, 0.01)
    for _ in range(8):
        answer(admission, clock, 1)
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(1, rel=0.1)


def test_work_that_was_given_up_tells_nothing_of_the_speed() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
    with pytest.raises(KeyError), admission.working():
        clock.now_s += 20
        raise KeyError
    with working_on(admission, 1):
        with pytest.raises(KeyError), admission.working():
            clock.now_s += 20
            raise KeyError
        clock.now_s += 0.1
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)
    assert admission.images == 0


def test_work_that_waited_for_something_else_tells_nothing_of_the_speed() -> None:
    clock = Clock()
    admission = admission_of(clock)
    for _ in range(100):
        answer(admission, clock, 0.1)
    with working_on(admission, 1) as work:
        clock.now_s += 8
        work.tells_speed = False
    with working_on(admission, 1):
        assert admission.wait_s == pytest.approx(0.1, rel=0.01)


def test_bodies_share_a_fixed_memory_and_give_it_back() -> None:
    admission = admission_of(Clock(), max_bytes=100)
    with admission.holding(60):
        with pytest.raises(TooManyRequests, match=r"60 bytes of other requests are in memory, and 41 more"):
            admission.holding(41).__enter__()
        with admission.holding(40):
            assert (admission.bytes, admission.requests) == (100, 2)
    assert (admission.bytes, admission.requests) == (0, 0)
    assert admission.refusals == {"bytes": 1}


def test_a_body_that_is_alone_is_taken_however_large() -> None:
    admission = admission_of(Clock(), max_bytes=100)
    with admission.holding(101):
        assert admission.bytes == 101
