"""What a run is told, once nothing is left open."""

from collections.abc import Mapping

import pytest
import torch
from pydantic import JsonValue

from contract.checkpoints import CheckpointMetadata
from contract.hyperparameters import Hyperparameters
from contract.schedule import MIN_STEPS
from model.clip.checkpoint import Checkpoint
from model.training.distributed import Ranks
from model.training.recipe import DISTILLATION_WEIGHT, PAIR_SHARE, Recipe
from tests.model.conftest import tiny_model, tiny_processor, tiny_tokenizer
from tests.model.loops import ALONE

TOKENIZER = tiny_tokenizer()
MODEL = tiny_model(TOKENIZER)
WORLD: dict[str, JsonValue] = {"hyperparameters": {"data": "world"}}
PAIRS: dict[str, JsonValue] = {**WORLD, "pair_share": 0.05}


def resolved(
    metrics: Mapping[str, JsonValue] | None = None, images: int = 1000, ranks: Ranks = ALONE, **asked: object
) -> Recipe:
    """For a base with these metrics; none for one that comes from elsewhere."""
    metadata = CheckpointMetadata(version="base", metrics=dict(metrics or {}))
    base = Checkpoint(MODEL, TOKENIZER, tiny_processor(), metadata)
    hyperparameters = Hyperparameters.model_validate(asked)
    return Recipe.resolve(hyperparameters, None if hyperparameters.init == "scratch" else base, images, ranks)


def test_nothing_is_left_open_and_what_was_asked_stays_known() -> None:
    recipe = resolved(seed=7)
    assert None not in recipe.model_dump().values()
    assert recipe.seed == 7 and recipe.asked == Hyperparameters(seed=7)
    assert recipe.asked.model_dump(exclude_unset=True) == {"seed": 7}


def test_muon_is_for_what_starts_from_scratch() -> None:
    assert (resolved().optimizer, resolved(init="scratch").optimizer) == ("adamw", "muon")
    assert (resolved(optimizer="muon").optimizer, resolved(init="scratch", optimizer="adamw").optimizer) == (
        *("muon", "adamw"),
    )


def test_a_small_base_takes_short_steps_where_nothing_old_is_shown_again_and_a_given_rate_wins() -> None:
    assert resolved(WORLD).learning_rate == 5e-4
    assert resolved().learning_rate == resolved(WORLD, replay_share=0).learning_rate == 2e-4
    assert resolved(replay_share=0.2).learning_rate == 5e-4
    assert resolved(learning_rate=0.5).learning_rate == 0.5


def test_from_scratch_there_is_nothing_to_lose_and_low_rank_updates_learn_ten_times_faster() -> None:
    assert resolved(init="scratch").learning_rate == 2e-3
    assert resolved(lora_rank=4).learning_rate == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("metrics", "share"),
    [
        ({}, 0.0),
        ({"hyperparameters": {"data": "channel"}}, 0.0),
        (WORLD, 0.5),
        ({"hyperparameters": {"data": "channel"}, "replay_share": 0.5}, 0.5),
        ({"hyperparameters": {"data": "channel"}, "replay_share": 0.0}, 0.0),
    ],
)
def test_only_a_base_that_learnt_from_the_world_is_shown_it_again(metrics: dict[str, JsonValue], share: float) -> None:
    assert resolved(metrics).replay_share == share


def test_replay_can_be_asked_for_and_switched_off_and_is_of_a_channel_alone() -> None:
    assert resolved(replay_share=0.2).replay_share == 0.2
    assert resolved(WORLD, replay_share=0.0).replay_share == 0.0
    assert resolved(WORLD, data="world").replay_share == resolved(init="scratch").replay_share == 0.0


def test_a_base_that_was_shown_pairs_is_shown_them_again_unless_told_otherwise() -> None:
    assert resolved(PAIRS).pair_share == PAIR_SHARE > 0.05
    assert resolved(PAIRS, pair_share=0).pair_share == 0
    assert resolved({**WORLD, "pair_share": 0.0}).pair_share == resolved(WORLD).pair_share == 0
    assert resolved(PAIRS, replay_share=0).pair_share == 0
    assert resolved(PAIRS, data="world").pair_share == 0
    assert resolved(init="scratch", data="world", pair_share=0.25).pair_share == 0.25


def test_distillation_is_the_default_where_nothing_old_can_be_shown_again() -> None:
    assert resolved().distillation_weight == DISTILLATION_WEIGHT > 0
    assert resolved(WORLD).distillation_weight == 0
    assert resolved(WORLD, replay_share=0).distillation_weight == DISTILLATION_WEIGHT
    assert resolved(replay_share=0.2).distillation_weight == 0
    assert resolved(init="scratch").distillation_weight == resolved(data="world").distillation_weight == 0


def test_it_can_be_asked_for_beside_replay_and_switched_off() -> None:
    assert resolved(WORLD, distillation_weight=0.5).distillation_weight == 0.5
    assert resolved(distillation_weight=0).distillation_weight == 0


def test_an_epoch_has_room_for_what_is_replayed() -> None:
    assert (resolved(images=40).images, resolved(images=40, replay_share=0.5).images) == (40, 80)


def test_a_small_dataset_takes_smaller_batches_and_still_six_hundred_steps() -> None:
    recipe = resolved(images=36, epochs=1)
    assert (recipe.global_batch, recipe.steps) == (36, MIN_STEPS) == (36, 600)
    assert resolved(images=36, steps=5).steps == 5


def test_epochs_become_steps_of_all_processes_together() -> None:
    two = Ranks(0, 2, torch.device("cpu"))
    alone, shared = resolved(images=64_000), resolved(images=64_000, ranks=two)
    assert (alone.global_batch, alone.steps) == (64, 10_000)
    assert (shared.global_batch, shared.steps) == (128, 5_000)
    assert shared.at_batch(64).steps == alone.steps, "more processes don't shorten a run that has begun"


def test_the_default_precision_is_found_out_by_trial_on_a_cpu() -> None:
    assert (resolved().precision, resolved(precision="bf16").precision) == ("auto", "bf16")


def test_a_run_knows_its_base_and_how_that_came_to_be() -> None:
    scratch: dict[str, JsonValue] = {"data": "world", "init": "scratch"}
    recipe = resolved({"given_hyperparameters": scratch})
    assert (recipe.parent, recipe.base_recipes) == ("base", [scratch])
    assert (resolved(init="scratch").parent, resolved(init="scratch").base_recipes) == (None, [])
