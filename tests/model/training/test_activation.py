"""The activation that training computes in fewer passes."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from transformers.activations import QuickGELUActivation

from model.training.activation import QuickGelu, with_fast_activations
from model.training.loop import Loop
from tests.model.conftest import tiny_model, tiny_tokenizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_those_of_transformers(dtype: torch.dtype) -> None:
    exact = dtype == torch.float32
    values, weights = torch.linspace(-12, 12, 4001, dtype=dtype).reshape(-1, 1), torch.linspace(-1, 1, 4001).to(dtype)
    found = []
    for activation in (QuickGelu(), QuickGELUActivation()):
        x = values.clone().requires_grad_()
        said = activation(x)
        said.backward(weights.reshape(-1, 1))
        found.append((said.detach(), x.grad))
    for ours, theirs in zip(*found, strict=True):
        assert ours is not None and theirs is not None and ours.dtype == theirs.dtype == dtype
        torch.testing.assert_close(ours, theirs, atol=2e-6 if exact else 0.03, rtol=1e-5 if exact else 0.01)


def test_every_layer_of_a_clip_has_it_and_the_weights_are_as_they_were() -> None:
    stock = tiny_model(tiny_tokenizer())
    model = with_fast_activations(deepcopy(stock))
    layers = [*model.vision_model.encoder.layers, *model.text_model.encoder.layers]
    assert layers and all(isinstance(layer.mlp.activation_fn, QuickGelu) for layer in layers)
    assert [*model.state_dict()] == [*stock.state_dict()]
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    side = model.config.vision_config.image_size
    said = [each.vision_model(pixels[:, :, :side, :side]).pooler_output for each in (model, stock)]
    torch.testing.assert_close(*said)


def test_a_run_computes_it_so_in_the_model_that_learns_and_in_its_average(loop_of: Callable[..., Loop]) -> None:
    loop = loop_of()
    for model in (loop.model, loop.averaged):
        parts = [type(part) for part in model.modules()]
        assert QuickGelu in parts and QuickGELUActivation not in parts
