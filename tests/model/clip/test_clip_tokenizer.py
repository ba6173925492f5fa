"""CLIP's tokenizer without transformers is transformers' own, or it leaves the folder to transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from model.clip.clip_tokenizer import plain_tokenizer
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.openai_folder import save_openai_folder

SHIPPED = Path(__file__).parents[3] / "model/shipped"
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
START, END = "<|startoftext|>", "<|endoftext|>"
TEXTS = [
    "a cat",
    "",
    "  A  Dog's\n\tTail!! 123 <|endoftext|> x",
    "<|startoftext|>a<|EndOfText|>",
    "É e\u0301 \ufb01 漢字 🙂 \u2028 z",
    "it's we'll I'd",
]

Said = dict[str, Any]
Change = Callable[[Path], None]


def flagged(content: str, **more: object) -> Said:
    """A token that is looked for in a text when that is normalized already."""
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, **more}


def saying(name: str, **members: object) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        said = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(said | members))

    return change


def added(**flags: object) -> Change:
    """What tokenizer.json says of all special tokens."""

    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        said = json.loads(path.read_text())
        path.write_text(json.dumps(said | {"added_tokens": [each | flags for each in said["added_tokens"]]}))

    return change


def as_openai_has_it(folder: Path) -> None:
    """Beside tokenizer.json, whose tokens are normalized, the files of the older form."""
    added(normalized=True)(folder)
    tokens = {
        role: flagged(START if role == "bos_token" else END, normalized=True) for role in ("bos_token", "eos_token")
    }
    tokens["unk_token"] = tokens["eos_token"]
    older = {role: said | {"__type": "AddedToken"} for role, said in tokens.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps({**older, "pad_token": END, "do_lower_case": True}))
    (folder / "special_tokens_map.json").write_text(json.dumps({**tokens, "pad_token": END}))


def without(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


DECODED = {"802": flagged(START, special=True), "803": flagged(END, special=True)}
ALIKE: dict[str, Change] = {
    "as it ships": lambda folder: None,
    "as OpenAI has it": as_openai_has_it,
    "without settings": without("tokenizer_config.json"),
    "with another token to pad": saying("tokenizer_config.json", pad_token="!"),
    "with another end": saying("tokenizer_config.json", eos_token="!"),
    "by its older name": saying("tokenizer_config.json", tokenizer_class="CLIPTokenizerFast"),
    "with flags in its file": added(lstrip=True),
}
LEFT: dict[str, Change] = {
    "of another class": saying("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast"),
    "that pads before": saying("tokenizer_config.json", padding_side="left"),
    "that cuts the beginning": saying("tokenizer_config.json", truncation_side="left"),
    "with a token more": saying("tokenizer_config.json", additional_special_tokens=["!!"]),
    "with a mask": saying("tokenizer_config.json", mask_token="<mask>"),
    "with words more": saying("added_tokens.json", zzz=802),
    "of which two files disagree": saying("tokenizer_config.json", added_tokens_decoder=DECODED),
    "of which its map says something else": saying("special_tokens_map.json", pad_token="!"),
    "whose special token has no number": saying("tokenizer_config.json", pad_token="<pad>"),
    "with settings nobody knows": saying("tokenizer_config.json", normalizer="other"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(SHIPPED / name, tmp_path)
    return tmp_path


def assert_alike(folder: Path) -> None:
    found, theirs = plain_tokenizer(folder), AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert found is not None
    ours, expected = (json.loads(each.to_str()) for each in (found.tokenizer, theirs.backend_tokenizer))
    assert [part for part in expected if part not in ("truncation", "padding") and ours[part] != expected[part]] == []
    assert [each.ids for each in found.tokenizer.encode_batch(TEXTS)] == theirs(TEXTS)["input_ids"]
    assert found.pad_token == theirs.pad_token


@pytest.mark.parametrize("change", ALIKE.values(), ids=ALIKE)
def test_it_is_the_one_that_transformers_makes(folder: Path, change: Change) -> None:
    change(folder)
    assert_alike(folder)


def test_so_it_is_of_a_vocabulary_and_merges_alone(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    save_openai_folder(tmp_path / "older", tiny_model(tokenizer), tokenizer, pickled=False)
    assert_alike(tmp_path / "older")


@pytest.mark.parametrize("change", LEFT.values(), ids=LEFT)
def test_what_says_more_is_left_to_transformers(folder: Path, change: Change) -> None:
    change(folder)
    assert plain_tokenizer(folder) is None
