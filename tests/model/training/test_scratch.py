"""The small CLIP that is trained from scratch, and its tokenizer."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, CLIPTokenizer

from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.training.scratch import learn_tokenizer, small_checkpoint


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return learn_tokenizer(["a red circle", "a red house", "two circles"] * 5, max_merges=100, context_length=16)


def test_frequent_words_become_one_token(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer.tokenize("A red  circle") == ["a</w>", "red</w>", "circle</w>"]


def test_no_text_is_unknown(tokenizer: CLIPTokenizer) -> None:
    for text in ("zebra", "café", "naïve 猫 🐈", "№ 42!"):
        tokens = tokenizer.tokenize(text)
        assert tokens and tokenizer.eos_token not in tokens


def test_the_end_token_is_not_number_two(tokenizer: CLIPTokenizer) -> None:
    """transformers would pool the text at its largest id in place of its end."""
    assert tokenizer.eos_token_id == len(tokenizer) - 1 != 2
    assert tokenizer("red").input_ids[-1] == tokenizer.eos_token_id


def test_it_comes_back_from_disk_unchanged(tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    text = "two red zebras"
    assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == tokenizer(text).input_ids


def test_its_checkpoint_is_whole_and_small_and_a_function_of_the_seed(tmp_path: Path) -> None:
    made, again, other = (small_checkpoint(["a red circle"], seed) for seed in (0, 0, 1))
    assert sum(weight.numel() for weight in made.model.parameters()) < 2_500_000
    weights = [checkpoint.model.visual_projection.weight for checkpoint in (made, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    save_checkpoint(tmp_path, made.model, made.tokenizer, made.processor, made.metadata)
    assert load_checkpoint(tmp_path).context_length == made.context_length == 48
