"""Learning rates and parameter groups."""

import pytest
from torch.optim import AdamW, Muon

from contract.checkpoints import CheckpointMetadata
from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import Checkpoint
from model.training.optimizer import build_optimizers, rate_share
from model.training.recipe import Recipe
from tests.model.conftest import tiny_model, tiny_processor, tiny_tokenizer
from tests.model.loops import ALONE


def recipe(**values: object) -> Recipe:
    asked, tokenizer = Hyperparameters.model_validate(values), tiny_tokenizer()
    base = Checkpoint(tiny_model(tokenizer), tokenizer, tiny_processor(), CheckpointMetadata(version="base"))
    return Recipe.resolve(asked, base if asked.init == "base" else None, 1000, ALONE)


def test_the_rate_warms_up_stays_and_cools_down_to_zero() -> None:
    values = recipe(steps=100, warmup_steps=9, cooldown_share=0.25)
    shares = [rate_share(step, values) for step in range(101)]
    assert shares[0] == pytest.approx(0.1) and shares[9:76] == [1.0] * 67
    assert shares[87] == pytest.approx(0.52) and shares[100] == 0


def test_a_short_run_still_reaches_its_peak_rate() -> None:
    short = recipe(steps=8, warmup_steps=60)
    assert max(rate_share(step, short) for step in range(8)) == 1.0


@pytest.mark.parametrize("values", [{"init": "base"}, {"init": "scratch"}])
def test_every_parameter_belongs_to_exactly_one_group(values: dict[str, object]) -> None:
    model = tiny_model(tiny_tokenizer())
    optimizers = build_optimizers(recipe(**values), model)
    held = [id(weight) for optimizer in optimizers for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))
    assert [type(optimizer) for optimizer in optimizers] == ([AdamW] if values["init"] == "base" else [Muon, AdamW])


def test_adamw_is_one_kernel_and_not_a_pass_for_each_of_its_terms() -> None:
    for optimizer in build_optimizers(recipe(), tiny_model(tiny_tokenizer())):
        assert all(group["fused"] for group in optimizer.param_groups)


def test_scale_norms_and_embeddings_are_not_decayed() -> None:
    model = tiny_model(tiny_tokenizer())
    (optimizer,) = build_optimizers(recipe(weight_decay=0.1), model)
    decayed = {id(w) for group in optimizer.param_groups if group["weight_decay"] for w in group["params"]}
    names = {name for name, weight in model.named_parameters() if id(weight) in decayed}
    assert names and all(name.endswith(".weight") and ".layers." in name and "norm" not in name for name in names)
