import pytest

from contract.hyperparameters import Hyperparameters
from contract.settings import SettingsError


def test_strings_become_numbers_and_what_is_unsaid_takes_its_default() -> None:
    values = Hyperparameters.from_strings({"batch_size": "16", "learning_rate": "1e-4"})
    assert (values.batch_size, values.learning_rate, values.init) == (16, 1e-4, "base")
    with pytest.raises(SettingsError, match="seed is '-1'"):
        Hyperparameters.from_strings({"seed": "-1"})


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Hyperparameters.from_strings({"epochs": "0", "batch_size": "many", "learning_rat": "1"})
    for words in ("hyperparameter epochs is '0': ", "hyperparameter batch_size is 'many': ", "'learning_rat' is no"):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lock_image": "1", "lock_text": "1"}, "leave nothing to learn"),
        ({"unlocked_blocks": "2"}, "set lock_image or lock_text"),
        ({"lock_text": "1", "init": "scratch"}, "set init=base"),
        ({"lora_rank": "4", "init": "scratch"}, "lora_rank adapts what a base has learnt"),
        ({"lora_rank": "4", "optimizer": "muon"}, "lora_rank is for optimizer=adamw"),
        ({"layer_decay": "0.9", "optimizer": "muon"}, "layer_decay is for optimizer=adamw"),
        ({"distillation_weight": "1", "data": "world"}, "set init=base and data=channel"),
        ({"replay_share": "0.5", "init": "scratch"}, "replay_share mixes what a base has learnt"),
        ({"replay_share": "0.5", "data": "world"}, "replay_share mixes what a base has learnt"),
        ({"strategy": "projection", "init": "scratch"}, "strategy=projection adapts what a base has learnt"),
        ({"strategy": "auto", "data": "world"}, "strategy=auto adapts what a base has learnt"),
        ({"strategy": "projection", "lora_rank": "4"}, "leave out lora_rank, lock_image, lock_text"),
        ({"strategy": "auto", "lock_text": "1"}, "leave out lora_rank, lock_image, lock_text"),
        ({"strategy": "projection", "lock_image": "1", "unlocked_blocks": "1"}, "leave out lora_rank, lock_image"),
        ({"strategy": "projection", "optimizer": "muon"}, "or set strategy=full"),
        ({"strategy": "projection", "distillation_weight": "1"}, "projection_weight keeps what the base knew"),
        ({"strategy": "quick"}, "strategy is 'quick'"),
    ],
)
def test_what_contradicts_itself_is_refused_in_a_sentence(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        Hyperparameters.from_strings({"batch_size": "16", **values})
    assert "batch_size" not in str(refused.value)


def test_a_run_from_scratch_steps_by_muon_unless_it_is_told_otherwise() -> None:
    assert Hyperparameters(init="scratch").muon and not Hyperparameters().muon
    assert not Hyperparameters(init="scratch", optimizer="adamw").muon


def test_each_is_described_with_its_default_in_a_line() -> None:
    lines = Hyperparameters.described().splitlines()
    assert [line.split("=")[0].strip() for line in lines] == list(Hyperparameters.model_fields)
    assert "  epochs=10                   Passes over the data, and at least 600 steps" in lines
