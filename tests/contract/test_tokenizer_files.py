"""A tokenizer belongs to its text tower, or a sentence says why not."""

import json
from typing import Any

import pytest

from contract.clip_config import TextTower
from contract.problems import BadRequest
from contract.tokenizer_files import check_tokenizer

TOWER = TextTower(vocab_size=4, eos_token_id=3)
VOCAB = {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}


def files(**changes: Any) -> dict[str, bytes]:
    model = {"type": "BPE", "vocab": VOCAB, "merges": ["a b"], **changes}
    return {"tokenizer.json": json.dumps({"model": model}).encode()}


def test_tokens_that_have_a_row_each_are_taken() -> None:
    check_tokenizer(files().get, TOWER)
    check_tokenizer(files(merges=[["a", "b"]]).get, TOWER)
    check_tokenizer(files().get, TextTower(vocab_size=4, eos_token_id=2))  # OpenAI's
    content = {"content": "ab", "special": True}
    settings = {"tokenizer_config.json": json.dumps({"eos_token": content}).encode()}
    check_tokenizer({**files(), **settings}.get, TextTower(vocab_size=4, eos_token_id=2))


def test_continued_pieces_are_joined_without_their_prefix() -> None:
    changes = {"vocab": {"a": 0, "##b": 1, "ab": 2, "<|endoftext|>": 3}, "merges": ["a ##b"]}
    check_tokenizer(files(**changes, continuing_subword_prefix="##").get, TOWER)
    with pytest.raises(BadRequest, match="needs the token 'a##b'"):
        check_tokenizer(files(**changes).get, TOWER)


@pytest.mark.parametrize(
    ("tower", "said"),
    [
        ({"vocab_size": 3, "eos_token_id": 2}, "'<|endoftext|>' the number 3, and the text tower has 3 rows"),
        ({"vocab_size": 4, "eos_token_id": 1}, "the model would read every text alike"),
    ],
)
def test_a_tokenizer_of_another_tower_is_not(tower: dict[str, int], said: str) -> None:
    with pytest.raises(BadRequest) as raised:
        check_tokenizer(files().get, TextTower(**tower))
    assert said in raised.value.detail


def test_merges_that_are_no_text_are_not() -> None:
    older = {"vocab.json": json.dumps(VOCAB).encode(), "merges.txt": b"a b"}
    check_tokenizer(older.get, TOWER)
    with pytest.raises(BadRequest, match=r"merges\.txt is no text"):
        check_tokenizer({**older, "merges.txt": b"\xff"}.get, TOWER)
