"""CLIP's tokenizer of a folder's files, by Hugging Face's tokenizers alone: what transformers' CLIPTokenizer makes of
the same files, without the seconds that transformers takes to load.

Byte-level BPE of lower-cased text (Radford et al. 2021, section 2.4); the splitting is that of OpenAI's clip package.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from contract.tokenizer_files import MERGES, OTHERS, SETTINGS, TOKENIZERS

_WORDS = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
_END = "<|endoftext|>"
_ROLES = {"bos_token": "<|startoftext|>", "eos_token": _END, "unk_token": _END, "pad_token": _END}
"""The special tokens, in the order in which transformers adds them, and what they are where nothing is said."""
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
_PLAIN = {"padding_side": "right", "truncation_side": "right", "split_special_tokens": False}
_WITHOUT_EFFECT = {
    *("add_prefix_space", "backend", "clean_up_tokenization_spaces", "do_lower_case", "errors", "is_local"),
    *("local_files_only", "max_length", "model_input_names", "model_max_length", "name_or_path", "processor_class"),
    *("special_tokens_map_file", "stride", "tokenizer_class", "truncation_strategy", "tokenizer_file"),
    *("additional_special_tokens", "extra_special_tokens", "pad_to_multiple_of", "pad_token_type_id"),
}
"""Of what else tokenizer_config.json may say, on a single text's ids; what is listed as empty below must be."""
_EMPTY = ("additional_special_tokens", "extra_special_tokens", "pad_to_multiple_of")


@dataclass(frozen=True)
class PlainTokenizer:
    """A tokenizer, and what it pads with."""

    tokenizer: Tokenizer
    pad_token: str


def plain_tokenizer(directory: Path) -> PlainTokenizer | None:
    """The tokenizer of a checked folder. None: its files say more than is known here; transformers is to read them."""
    settings = _settings(directory)
    files = None if settings is None else _vocabulary(directory)
    if settings is None or files is None:
        return None
    vocabulary, merges, added = files
    tokens = {role: _token(settings.get(role) or default) for role, default in _ROLES.items()}
    named = {role: str(token.content) for role, token in tokens.items()}
    decoded = {said["content"]: _token(said) for said in [*_decoded(settings)] or added}
    known = Tokenizer(BPE(vocab=vocabulary, merges=merges)).get_vocab() if isinstance(vocabulary, str) else vocabulary
    if not known.keys() >= {*named.values()}:
        return None
    model = BPE(
        vocab=vocabulary,
        merges=merges,
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        fuse_unk=False,
        unk_token=named["unk_token"],
    )
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.add_tokens(list(_distinct([decoded.get(named[role], token) for role, token in tokens.items()])))
    end, start = ((named[role], known[named[role]]) for role in ("eos_token", "bos_token"))
    made.post_processor = processors.RobertaProcessing(end, start, trim_offsets=False, add_prefix_space=False)
    if not all(_is_one_of(said, made) for said in (*added, *_decoded(settings))):
        return None
    return PlainTokenizer(made, named["pad_token"])


def _settings(directory: Path) -> dict[str, Any] | None:
    path = directory / SETTINGS
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    said = {name: value for name, value in said.items() if value is not None}
    beside = _beside(directory)
    if beside is None or not said.keys() <= {*_ROLES, *_PLAIN, *_WITHOUT_EFFECT, "added_tokens_decoder"}:
        return None
    if said.get("tokenizer_class", "CLIPTokenizer") not in ("CLIPTokenizer", "CLIPTokenizerFast"):
        return None
    if any(said.get(name, plain) != plain for name, plain in _PLAIN.items()) or any(said.get(name) for name in _EMPTY):
        return None
    if any(isinstance(said.get(role), dict) and "__type" not in said[role] for role in _ROLES.keys() - beside.keys()):
        return None  # which transformers does not take for tokens
    return said if all(_flat(said.get(role)) == _flat(token) for role, token in beside.items()) else None


def _flat(said: Any) -> Any:
    """Without the class that older files name."""
    return {name: value for name, value in said.items() if name != "__type"} if isinstance(said, dict) else said


def _beside(directory: Path) -> dict[str, Any] | None:
    """Special tokens that a second file names."""
    tokens_map, added = (directory / name for name in OTHERS)
    if added.is_file():
        return None
    said: dict[str, Any] = json.loads(tokens_map.read_text(encoding="utf-8")) if tokens_map.is_file() else {}
    return said if said.keys() <= _ROLES.keys() else None


def _vocabulary(directory: Path) -> tuple[Any, Any, list[dict[str, Any]]] | None:
    """Tokens and merges as BPE takes them, and what the file says of added tokens."""
    file, older = (directory / name for name in TOKENIZERS)
    if not file.is_file():
        return str(older), str(directory / MERGES), []
    said = json.loads(file.read_text(encoding="utf-8"))
    padding, truncation = said.get("padding") or {}, said.get("truncation") or {}
    if any(part.get("direction", "Right") != "Right" for part in (padding, truncation)):
        return None
    model = said["model"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    return model["vocab"], merges, said.get("added_tokens") or []


def _token(said: str | Mapping[str, Any]) -> AddedToken:
    if isinstance(said, str):
        return AddedToken(said, special=True)
    return AddedToken(said["content"], special=True, **{flag: said[flag] for flag in _FLAGS if flag in said})


def _distinct(tokens: Sequence[AddedToken]) -> Iterator[AddedToken]:
    """The last that is said of a token counts."""
    yield from {_said(token): token for token in tokens}.values()


def _said(token: AddedToken) -> tuple[Any, ...]:
    return (token.content, *(getattr(token, flag) for flag in _FLAGS))


def _decoded(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, said in settings.get("added_tokens_decoder", {}).items():
        yield {**said, "id": int(number)}


def _is_one_of(said: Mapping[str, Any], made: Tokenizer) -> bool:
    """Whether a file says of an added token what the tokenizer has it do."""
    token = made.get_added_tokens_decoder().get(said["id"])
    flags = (said.get(flag, getattr(token, flag, None)) for flag in _FLAGS)
    return token is not None and (said["content"], *flags) == _said(token) and said.get("special", True)
