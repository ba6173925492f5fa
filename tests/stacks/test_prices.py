import pytest

from stacks.prices import FUNCTION_IMAGE_S, FUNCTION_START_S, function_usd_per_image, function_usd_per_s


def test_a_function_costs_by_its_memory_and_by_its_time() -> None:
    assert function_usd_per_s(1024) == 0.0000166667
    assert function_usd_per_s(3072) == 3 * function_usd_per_s(1024)


def test_an_image_costs_the_time_that_it_takes_and_one_call() -> None:
    assert function_usd_per_image(2048) == pytest.approx(FUNCTION_IMAGE_S * 2 * 0.0000166667 + 0.0000002)
    starting = function_usd_per_image(2048, starting=True) - function_usd_per_image(2048)
    assert starting == pytest.approx(FUNCTION_START_S * 2 * 0.0000166667)
