"""What a run may change of a model, and the average that it exports."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import CLIPModel

from model.clip.checkpoint import load_checkpoint
from model.training.loop import Loop
from model.training.optimizer import layers_above
from model.training.weights import LoRA, frozen_copy, update_average
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.loops import exported


def changed(loop: Loop, steps: int) -> set[str]:
    before = {name: weight.clone() for name, weight in loop.averaged.named_parameters()}
    for _ in range(steps):
        loop.take_step()
    return {name for name, weight in loop.averaged.named_parameters() if not torch.equal(weight, before[name])}


@pytest.mark.parametrize(
    ("values", "fixed", "learnt"),
    [
        ({"lock_image": True}, ("vision_model.", "visual_projection."), ("text_model.", "text_projection.")),
        ({"lock_text": True}, ("text_model.", "text_projection."), ("vision_model.", "visual_projection.")),
        (
            {"lock_image": True, "lock_text": True, "unlocked_blocks": 1},
            ("vision_model.embeddings.", "vision_model.encoder.layers.0.", "text_model.encoder.layers.0."),
            (
                "vision_model.encoder.layers.1.",
                "vision_model.post_layernorm.",
                "visual_projection.",
                "text_projection.",
            ),
        ),
        (
            {"lora_rank": 2, "lock_text": True},
            ("text_model.", "text_projection.", "visual_projection.", "vision_model.embeddings."),
            ("vision_model.encoder.layers.0.self_attn.q_proj.weight", "vision_model.encoder.layers.1.mlp.fc2.weight"),
        ),
    ],
)
def test_what_is_locked_stays_to_the_bit_and_the_rest_learns(
    loop_of: Callable[..., Loop], values: dict[str, object], fixed: tuple[str, ...], learnt: tuple[str, ...]
) -> None:
    names = changed(loop_of(**values), 2)
    assert not [name for name in names if name.startswith(fixed)]
    assert all(any(name.startswith(part) for name in names) for part in learnt)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [{"lora_rank": 2}, {"lock_image": True, "chunk_size": 3}, {"layer_decay": 0.5}, {"loss": "sigmoid"}],
)
def test_a_restricted_run_is_resumed_to_the_very_same_weights(
    loop_of: Callable[..., Loop], values: dict[str, object]
) -> None:
    whole, resumed = loop_of(**values), loop_of(**values)
    for step in range(6):
        if step == 3:
            resumed.resume((3, copy.deepcopy(whole.state())))
        whole.take_step()
    for _ in range(3):
        resumed.take_step()
    for ours, theirs in ((whole.model, resumed.model), (whole.averaged, resumed.averaged)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole.learning, resumed.learning, strict=True))


def test_a_low_rank_update_starts_at_nothing_and_has_its_rank() -> None:
    weight = torch.randn(6, 4)
    update = LoRA(weight, 2)
    assert torch.equal(update(weight), weight)
    torch.nn.init.normal_(update.B)
    assert torch.linalg.matrix_rank(update(weight) - weight) == 2


def test_low_rank_updates_learn_far_fewer_numbers_and_are_exported_merged(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    loop = loop_of(lora_rank=1)
    whole = sum(weight.numel() for weight in loop.averaged.parameters())
    assert sum(weight.numel() for weight in loop.learning) < whole / 10
    for _ in range(4):
        loop.take_step()
    exported(loop)
    plain, served = CLIPModel.from_pretrained(coloured_job / "model"), load_checkpoint(coloured_job / "model").model
    assert plain.state_dict().keys() == tiny_model(tiny_tokenizer()).state_dict().keys() == served.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), loop.averaged.parameters(), strict=True))


def test_deeper_layers_learn_more_slowly(loop_of: Callable[..., Loop]) -> None:
    loop = loop_of(layer_decay=0.5, learning_rate=0.001)
    (optimizer,) = loop.optimizers
    rates = {id(weight): group["initial_lr"] for group in optimizer.param_groups for weight in group["params"]}
    named = {name: rates[id(weight)] for name, weight in loop.model.named_parameters()}
    assert named["visual_projection.weight"] == named["logit_scale"] == 0.001
    assert named["vision_model.encoder.layers.1.mlp.fc1.weight"] == 0.0005
    assert named["text_model.encoder.layers.0.mlp.fc1.bias"] == 0.00025
    assert (
        named["vision_model.pre_layrnorm.weight"] == named["text_model.embeddings.token_embedding.weight"] == 0.000125
    )
    assert layers_above("vision_model.post_layernorm.weight", loop.model) == 0


def test_averaged_weights_follow_and_do_not_hold_gradients() -> None:
    model = tiny_model(tiny_tokenizer())
    average = frozen_copy(model)
    with torch.no_grad():
        model.logit_scale.fill_(1.0)
    for step in range(200):
        update_average(average, model, step, decay=0.9)
    assert float(average.logit_scale) == pytest.approx(1.0, abs=1e-3)
    assert not any(weight.requires_grad for weight in average.parameters())
