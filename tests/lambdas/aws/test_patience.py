from collections.abc import Callable, Sequence

import pytest

from contract.problems import (
    BadGateway,
    GatewayTimeout,
    ModelStopped,
    ProblemError,
    ServiceUnavailable,
    TooManyRequests,
)
from lambdas.aws.patience import MAX_PAUSE_S, RESERVE_MS, TRIES, Patience

PLENTY_MS = 900_000
CROWDED = TooManyRequests("4 requests wait: try again")
BROKEN = BadGateway("the model failed on this request")

Answer = bytes | ProblemError


class Endpoint:
    """Answers an image with itself, and does `instead` with some."""

    def __init__(self, instead: Callable[[Sequence[bytes]], Sequence[Answer] | None] = lambda images: None) -> None:
        self._instead = instead
        self.asked: list[int] = []
        self.pauses_s: list[float] = []
        self.left_ms = PLENTY_MS

    def ask(self, images: Sequence[bytes]) -> Sequence[Answer]:
        self.asked.append(len(images))
        return self._instead(images) or list(images)

    def answers(self, *images: bytes) -> list[Answer]:
        def status_of(answer: Answer) -> int:
            return answer.status if isinstance(answer, ProblemError) else 0

        def pause(seconds: float) -> None:
            self.pauses_s.append(seconds)
            self.left_ms -= int(1000 * seconds)

        patience = Patience(self.ask, status_of, lambda problem: problem, lambda: self.left_ms, pause)
        return patience.answers(images)


def failing(problem: ProblemError, at: bytes = b"", times: int = 1_000) -> Callable[[Sequence[bytes]], None]:
    """Fail at so many requests with the image `at`, or at any."""
    left = iter(range(times))

    def fail(images: Sequence[bytes]) -> None:
        if (not at or at in images) and next(left, None) is not None:
            raise problem

    return fail


def turning_away(image: bytes, times: int) -> Callable[[Sequence[bytes]], Sequence[Answer] | None]:
    left = iter(range(times))

    def some(images: Sequence[bytes]) -> Sequence[Answer] | None:
        if image not in images or next(left, None) is None:
            return None
        return [CROWDED if each == image else each for each in images]

    return some


def test_what_is_answered_at_once_is_asked_once() -> None:
    endpoint = Endpoint()
    assert endpoint.answers(b"1", b"2", b"3") == [b"1", b"2", b"3"]
    assert (endpoint.asked, endpoint.pauses_s) == ([3], [])
    assert endpoint.answers() == [] and endpoint.asked == [3]


def test_only_the_image_that_is_turned_away_is_asked_about_again_later() -> None:
    endpoint = Endpoint(turning_away(b"2", 2))
    assert endpoint.answers(b"1", b"2", b"3") == [b"1", b"2", b"3"]
    assert endpoint.asked == [3, 1, 1]
    first_s, second_s = endpoint.pauses_s
    assert 2 <= first_s <= 4 <= second_s <= 8


def test_an_image_that_is_turned_away_every_time_keeps_its_problem_and_the_others_are_answered() -> None:
    endpoint = Endpoint(turning_away(b"2", 1_000))
    assert endpoint.answers(b"1", b"2", b"3") == [b"1", CROWDED, b"3"]
    assert endpoint.asked == [3, *[1] * (TRIES - 1)]


def test_without_time_left_to_ask_again_an_image_that_is_turned_away_is_left_to_the_next_worker() -> None:
    endpoint = Endpoint(turning_away(b"2", 1_000))
    endpoint.left_ms = RESERVE_MS
    with pytest.raises(ServiceUnavailable, match="turned 1 images away"):
        endpoint.answers(b"1", b"2")
    assert endpoint.pauses_s == []


def test_an_endpoint_that_is_away_is_waited_for() -> None:
    endpoint = Endpoint(failing(ServiceUnavailable("the endpoint is Updating", retry_after_s=100), times=2))
    assert endpoint.answers(b"1", b"2") == [b"1", b"2"]
    assert all(MAX_PAUSE_S <= pause_s <= 2 * MAX_PAUSE_S for pause_s in endpoint.pauses_s)


def test_one_that_stays_away_is_no_images_problem() -> None:
    endpoint = Endpoint(failing(ServiceUnavailable("the endpoint is Updating")))
    with pytest.raises(ServiceUnavailable, match="Updating"):
        endpoint.answers(b"1", b"2")
    assert endpoint.left_ms >= RESERVE_MS


@pytest.mark.parametrize("problem", [BROKEN, GatewayTimeout("too slow"), ModelStopped("it stopped")])
def test_the_image_at_which_the_endpoint_fails_is_found_and_the_others_are_answered(problem: ProblemError) -> None:
    endpoint = Endpoint(failing(problem, at=b"4"))
    assert endpoint.answers(*b"1 2 3 4 5".split()) == [b"1", b"2", b"3", problem, b"5"]


@pytest.mark.parametrize("restart_s", [5, 20, 40])
@pytest.mark.parametrize("left_s", [100, 200, 600])
def test_however_long_a_restart_takes_no_image_is_blamed_but_the_one_at_fault(restart_s: int, left_s: int) -> None:
    endpoint, back = Endpoint(), {"at_ms": PLENTY_MS}
    stopped = ModelStopped("the model stopped at this request and is started again", retry_after_s=2)

    def stop_at_the_fifth(images: Sequence[bytes]) -> None:
        endpoint.left_ms -= 100
        if b"5" in images and endpoint.left_ms <= back["at_ms"]:
            back["at_ms"] = endpoint.left_ms - 1000 * restart_s
            raise stopped
        if endpoint.left_ms > back["at_ms"]:
            raise stopped

    endpoint._instead, endpoint.left_ms = stop_at_the_fifth, 1000 * left_s
    images = [str(number).encode() for number in range(32)]
    try:
        assert endpoint.answers(*images) == [stopped if image == b"5" else image for image in images]
    except ServiceUnavailable as problem:
        assert not isinstance(problem, ModelStopped) and left_s < 600


def test_a_model_that_stopped_at_what_others_asked_is_asked_again_once_it_lives() -> None:
    endpoint = Endpoint(failing(ModelStopped("it stopped"), times=3))
    assert endpoint.answers(b"1", b"2") == [b"1", b"2"]
    assert endpoint.asked == [2, 1, 1, 1, 2], "the example, until it is answered, and then the images again"


def test_what_came_too_late_while_the_model_started_is_asked_again() -> None:
    endpoint = Endpoint(failing(GatewayTimeout("too slow"), times=3))
    assert endpoint.answers(b"1") == [b"1"]
    assert endpoint.asked == [1, 1, 1, 1, 1], "the image, the example until it is answered, and the image"


def test_an_endpoint_that_fails_at_everything_is_told_apart_from_images_at_fault() -> None:
    with pytest.raises(BadGateway, match="at every image, also at one that is known to be good: the model failed"):
        Endpoint(failing(BROKEN)).answers(b"1", b"2")
    assert Endpoint(failing(BROKEN, at=b"1")).answers(b"1") == [BROKEN]


def test_an_endpoint_that_is_too_slow_for_everything_does_not_take_more_than_the_workers_time() -> None:
    endpoint = Endpoint()
    too_slow = failing(GatewayTimeout("too slow"))

    def take_long(images: Sequence[bytes]) -> None:
        endpoint.left_ms -= 22_000
        too_slow(images)

    endpoint._instead = take_long
    with pytest.raises(ServiceUnavailable, match="too slow"):
        endpoint.answers(*(str(number).encode() for number in range(64)))
    assert endpoint.left_ms >= 0
