"""What a step's loss is made of."""

import math
from collections.abc import Callable

import pytest
import torch

from model.clip.preprocess import normalized
from model.data.batch import Batch
from model.training.loop import Loop
from model.training.loss import Objective


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_pairs_of_which_nobody_knows_the_truth_are_left_out_of_the_loss(
    loop_of: Callable[..., Loop], loss: str
) -> None:
    loop = loop_of(loss=loss, distillation_weight=0)
    loop.step = 1  # the first would set the sigmoid's bias by its own batch
    rows, texts, true = (0, 1, 2, 3), ("red", "green", "blue", "white"), torch.eye(4).bool()
    pixels = normalized(loop.prefetcher.processor, loop.prefetcher.pixels(rows))
    known = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2)).bool()
    halves = [
        loop.gradients(Batch(rows[half], texts[half], true[half, half]), pixels[half], bf16=False)
        for half in (slice(2), slice(2, 4))
    ]
    together = loop.gradients(Batch(rows, texts, true, known), pixels, bf16=False)
    assert float(together) == pytest.approx(float(sum(halves)) / 2, rel=1e-4)
    assert float(together) != pytest.approx(float(loop.gradients(Batch(rows, texts, true), pixels, False)), rel=1e-3)


def test_the_first_look_at_validation_images_begins_the_loss_as_the_first_step_does(
    loop_of: Callable[..., Loop],
) -> None:
    loop, begun = loop_of(loss="sigmoid"), Objective("sigmoid")
    cosines, batch = loop.validation_cosines()
    logits = cosines * loop.scale
    begun.begin(logits)
    assert loop.validate()["validation_loss"] == pytest.approx(float(begun(logits, batch.positives).detach()), rel=1e-4)


def test_a_first_step_that_is_not_finite_does_not_spoil_the_losss_bias(loop_of: Callable[..., Loop]) -> None:
    loop = loop_of(loss="sigmoid")
    scale = loop.model.logit_scale.detach().clone()
    loop.model.logit_scale.data.fill_(float("nan"))
    loop.take_step()
    loop.model.logit_scale.data.copy_(scale)
    assert (loop.step, loop.bad_steps) == (1, 1)
    assert math.isfinite(loop.take_step()) and loop.bad_steps == 0


@pytest.mark.usefixtures("patterned")
def test_what_is_distilled_is_what_the_base_says_of_the_same_crops(loop_of: Callable[..., Loop]) -> None:
    """Before the first step the base and its pupil say the same of the same pixels."""

    def distilled(crop_area_min: float) -> float:
        losses = []
        for weight in (5.0, 0.0):
            loop = loop_of(distillation_weight=weight, crop_area_min=crop_area_min)
            losses.append(float(loop.gradients(*loop.prefetcher.read(0, 8), bf16=False)))
        return losses[0] - losses[1]

    assert distilled(1.0) == pytest.approx(0, abs=1e-5)
    assert distilled(0.5) == pytest.approx(0, abs=1e-5)
