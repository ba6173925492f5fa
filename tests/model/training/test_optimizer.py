"""Rates, parameter groups and the averaged weights."""

import pytest
from torch.optim import AdamW, Muon

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import CheckpointMetadata
from model.training.optimizer import build_optimizers, peak_rate, rate_share
from tests.model.conftest import tiny_model, tiny_tokenizer

FOREIGN = CheckpointMetadata(version="foreign")
SHIPPED = CheckpointMetadata(version="shipped", metrics={"hyperparameters": {"data": "world"}})


def chosen(**values: object) -> Hyperparameters:
    return Hyperparameters.model_validate(values)


def test_the_rate_warms_up_stays_and_cools_down_to_zero() -> None:
    values = chosen(warmup_steps=9, cooldown_share=0.25)
    shares = [rate_share(step, 100, values) for step in range(101)]
    assert shares[0] == pytest.approx(0.1) and shares[9:76] == [1.0] * 67
    assert shares[87] == pytest.approx(0.52) and shares[100] == 0


def test_a_short_run_still_reaches_its_peak_rate() -> None:
    assert max(rate_share(step, 8, chosen(warmup_steps=60)) for step in range(8)) == 1.0


@pytest.mark.parametrize("values", [{"init": "base"}, {"init": "scratch"}])
def test_every_parameter_belongs_to_exactly_one_group(values: dict[str, object]) -> None:
    model = tiny_model(tiny_tokenizer())
    optimizers = build_optimizers(chosen(**values), model, None)
    held = [id(weight) for optimizer in optimizers for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))
    assert [type(optimizer) for optimizer in optimizers] == ([AdamW] if values["init"] == "base" else [Muon, AdamW])


def test_scale_norms_and_embeddings_are_not_decayed() -> None:
    model = tiny_model(tiny_tokenizer())
    (optimizer,) = build_optimizers(chosen(weight_decay=0.1), model, None)
    decayed = {id(w) for group in optimizer.param_groups if group["weight_decay"] for w in group["params"]}
    names = {name for name, weight in model.named_parameters() if id(weight) in decayed}
    assert names and all(name.endswith(".weight") and ".layers." in name and "norm" not in name for name in names)


def test_a_small_base_takes_short_steps_where_nothing_old_is_shown_again_and_a_given_rate_wins() -> None:
    model = tiny_model(tiny_tokenizer())
    assert peak_rate(chosen(), model, SHIPPED) == 5e-4
    assert peak_rate(chosen(), model, FOREIGN) == peak_rate(chosen(replay_share=0), model, SHIPPED) == 2e-4
    assert peak_rate(chosen(replay_share=0.2), model, FOREIGN) == 5e-4
    assert peak_rate(chosen(learning_rate=0.5), model, FOREIGN) == 0.5


def test_from_scratch_there_is_nothing_to_lose_and_low_rank_updates_learn_ten_times_faster() -> None:
    model = tiny_model(tiny_tokenizer())
    assert peak_rate(chosen(init="scratch"), model, None) == 2e-3
    assert peak_rate(chosen(lora_rank=4), model, FOREIGN) == pytest.approx(2e-3)
