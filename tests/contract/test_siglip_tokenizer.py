"""A SigLIP's tokenizer belongs to its text tower, or a sentence says why not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contract.problems import BadRequest
from contract.siglip_config import SiglipTextTower
from contract.siglip_tokenizer import check_siglip_tokenizer, tokenizer_class

TOWER = SiglipTextTower(vocab_size=9)
SPECIAL = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4}
BPE = {"type": "BPE", "vocab": {**SPECIAL, "a": 5, "b": 6, "ab": 7}, "merges": ["a b"]}
UNIGRAM = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["</s>", 0.0], ["a", -1.5]]}


def reader(model: Any, settings: Any = None, **other: Any) -> Callable[..., bytes | None]:
    settings = {"tokenizer_class": "GemmaTokenizer"} if settings is None else settings
    files = {"tokenizer_config.json": json.dumps(settings), "tokenizer.json": json.dumps({"model": model, **other})}
    return lambda name, most_bytes=0: files[name].encode() if name in files else None


def test_gemmas_and_the_first_siglips_are_taken() -> None:
    check_siglip_tokenizer(reader(BPE), TOWER)
    check_siglip_tokenizer(reader(BPE, {"tokenizer_class": "GemmaTokenizerFast", "model_input_names": []}), TOWER)
    check_siglip_tokenizer(reader(UNIGRAM, {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>"}), TOWER)
    check_siglip_tokenizer(reader(UNIGRAM, {"pad_token": {"content": "</s>"}}), TOWER)


def test_a_class_is_known_without_fast() -> None:
    assert (tokenizer_class("GemmaTokenizerFast"), tokenizer_class(None)) == ("GemmaTokenizer", "TokenizersBackend")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (reader(BPE, {"tokenizer_class": "CLIPTokenizer"}), "the tokenizer_class 'CLIPTokenizer', for a SigLIP are"),
        (reader(BPE, {"tokenizer_class": 3}), "tokenizer_class"),
        (reader(BPE, {"auto_map": {"AutoTokenizer": "x.Y"}}), "auto_map is given"),
        (reader(BPE, {}), "names no pad_token"),
        (reader(BPE, {"pad_token": "<none>"}), "lacks the token '<none>', which is the pad_token"),
        (reader({**BPE, "vocab": {"a": 5, "b": 6, "ab": 7}}), "lacks the token '<pad>', which is the pad_token"),
        (reader({**BPE, "vocab": {**BPE["vocab"], "c": 9}}), "'c' the number 9, and the text tower has 9 rows"),
        (reader(BPE, added_tokens=[{"id": 70, "content": "<new>"}]), "'<new>' the number 70"),
        (reader({**BPE, "merges": ["a c"]}), "needs the token 'c'"),
        (reader({**BPE, "type": "WordPiece"}), "'WordPiece', allowed are 'BPE' and 'Unigram'"),
        (reader({**UNIGRAM, "unk_id": 3}), "has 3 tokens, and unk_id 3 is none of them"),
        (reader({**UNIGRAM, "unk_id": -1}), "unk_id"),
        (reader({**UNIGRAM, "vocab": []}), "vocab"),
        (reader({**UNIGRAM, "vocab": [["a"]]}), "vocab.0"),
        (reader({**UNIGRAM, "vocab": [["a", "-1"]]}), "vocab.0"),
        (reader({**UNIGRAM, "vocab": [[5, 1.0]]}), "vocab.0"),
        (reader([]), "model"),
        (lambda name, most_bytes=0: None, "SentencePiece's own file"),
        (lambda name, most_bytes=0: b"[" * 2_000_001 if most_bytes else None, "2,000,000 lists and objects"),
        (lambda name, most_bytes=0: bytes(48 * 1024**2 + 1) if most_bytes else None, "50,331,648 bytes that are"),
    ],
)  # fmt: skip
def test_what_could_not_be_loaded_is_refused(read: Callable[..., bytes | None], said: str) -> None:
    with pytest.raises(BadRequest) as raised:
        check_siglip_tokenizer(read, TOWER)
    assert said in raised.value.detail
