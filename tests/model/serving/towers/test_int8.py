"""int8 keeps the answers of a checkpoint that bears it, and refuses the others."""

from pathlib import Path

import pytest
import torch
from torch import nn

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import CheckpointError
from model.serving.towers.int8 import MIN_AGREEMENT, PatchProduct, Quantization
from model.serving.towers.torch import TorchTowers
from tests.model.serving.towers.built import int8_towers

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[4] / "model/shipped"


@pytest.mark.parametrize("bias", [True, False])
def test_patches_are_what_the_convolution_makes_of_them_and_the_rest_is_cut_off(bias: bool) -> None:
    convolution = nn.Conv2d(3, 5, kernel_size=4, stride=4, bias=bias)
    pixels = torch.randn(2, 3, 13, 18)
    assert torch.allclose(PatchProduct(convolution)(pixels), convolution(pixels), atol=1e-6)


def test_the_shipped_checkpoint_bears_it_and_is_really_rounded() -> None:
    clip, exact = (Clip(load_checkpoint(SHIPPED)) for _ in range(2))
    quantization = Quantization(clip)
    towers = int8_towers(clip, quantization, SHIPPED)
    assert quantization.check(towers) >= MIN_AGREEMENT
    pixels = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    cosines = (towers.workers[0](pixels) * exact.embed_images(pixels)).sum(dim=-1)
    assert cosines.min() > 0.9 and cosines.max() < 1 - 1e-6


def test_a_checkpoint_whose_activations_have_outliers_is_refused_in_words() -> None:
    clip = Clip(load_checkpoint(SHIPPED))
    with torch.no_grad():  # one number far away leaves all others to share a handful of the 256 values
        for layer in clip.model.vision_model.encoder.layers:
            layer.mlp.fc1.bias[0] = 3000
            layer.mlp.fc2.weight[:, 0] = 0
    quantization = Quantization(clip)
    with pytest.raises(CheckpointError, match=r"PRECISION is int8, and world-\w+ does not bear it: [\d.]+% .* 97%"):
        quantization.check(TorchTowers(clip, 1))  # which computes the rounding step by step


def test_a_checkpoint_that_is_sure_of_nothing_is_refused_as_it_proves_nothing() -> None:
    checkpoint = load_checkpoint(SHIPPED)
    with torch.no_grad():
        checkpoint.model.logit_scale.fill_(-5)
    clip = Clip(checkpoint)
    quantization = Quantization(clip)
    with pytest.raises(CheckpointError, match=r"bears it can't be told: it is sure of 0 answers .* at least 32"):
        quantization.check(TorchTowers(clip, 1))  # which computes the rounding step by step
