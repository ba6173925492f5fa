"""What OpenVINO is given instead of torch's own layers, and bf16."""

from pathlib import Path

import pytest
import torch
from torch import nn

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.towers.openvino import OpenVinoTowers, PatchProduct
from tests.model.serving.towers.images import noise


@pytest.mark.parametrize("bias", [True, False])
def test_patches_are_what_the_convolution_makes_of_them_and_the_rest_is_cut_off(bias: bool) -> None:
    convolution = nn.Conv2d(3, 5, kernel_size=4, stride=4, bias=bias)
    pixels = torch.randn(2, 3, 13, 18)
    assert torch.allclose(PatchProduct(convolution)(pixels), convolution(pixels), atol=1e-6)


def test_in_bf16_vectors_point_where_they_did(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    pixels = noise(clip, 8)
    embed = OpenVinoTowers(Clip(load_checkpoint(checkpoint_dir)), "bf16", 1, 8).workers[0]
    assert (embed(pixels) * clip.embed_images(pixels)).sum(dim=-1).min() > 0.999
