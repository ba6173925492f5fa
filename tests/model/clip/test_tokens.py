"""Texts as token ids, padded to the longest of a batch and cut where the text tower ends."""

import torch
from tokenizers import Tokenizer

from model.clip.tokens import CausalReader
from tests.model.conftest import tiny_tokenizer


def reader(context_length: int) -> CausalReader:
    backend: Tokenizer = tiny_tokenizer().backend_tokenizer
    return CausalReader.of(Tokenizer.from_str(backend.to_str()), context_length, "<|endoftext|>")


def test_a_batch_is_padded_to_its_longest_text_behind_its_end() -> None:
    tokens = reader(48)(["ab", "a"])
    end = tiny_tokenizer().eos_token_id
    assert tokens.ids.shape == (2, 4) and tokens.ids.dtype == torch.int64
    assert tokens.ids[1].tolist()[2:] == [end, end] and tokens.mask is None


def test_what_is_longer_is_cut_and_keeps_its_end() -> None:
    tokens = reader(5)(["abc", "abcd", "a"])
    assert tokens.ids.shape == (3, 5) and tokens.truncated == [False, True, False]
    assert tokens.ids[1, -1] == tiny_tokenizer().eos_token_id
