"""The tokenizer of a model that is trained from scratch."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, CLIPTokenizer

from model.training.vocabulary import learn_tokenizer


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
