"""The average of a model's weights."""

import pytest
import torch

from model.training.ema import AveragedWeights
from tests.model.conftest import tiny_model, tiny_tokenizer


def test_averaged_weights_follow_and_do_not_hold_gradients() -> None:
    model = tiny_model(tiny_tokenizer())
    averaged = AveragedWeights.of(model, decay=0.9)
    with torch.no_grad():
        model.logit_scale.fill_(1.0)
    for step in range(200):
        averaged.update(model, step)
    assert float(averaged.model.logit_scale) == pytest.approx(1.0, abs=1e-3)
    assert not any(weight.requires_grad for weight in averaged.model.parameters())
