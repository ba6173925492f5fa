"""What the hardware could do."""

import pytest
from transformers import CLIPConfig

from benchmarks.serving.hardware import durations_s, tower_gflop, tower_products


def test_the_image_tower_of_vit_b32_multiplies_8_82_gflop() -> None:
    assert tower_gflop(CLIPConfig()) == pytest.approx(8.82, abs=0.005)


def test_its_products_hold_every_weight_of_the_tower() -> None:
    weights = sum(inner * columns for _, inner, columns in tower_products(CLIPConfig()))
    assert weights == 32 * 32 * 3 * 768 + 12 * 12 * 768 * 768 + 768 * 512


def test_what_warms_up_is_not_measured() -> None:
    calls = 0

    def work() -> None:
        nonlocal calls
        calls += 1

    assert len(durations_s(work, "cpu", seconds=0)) == calls - 2 == 5
