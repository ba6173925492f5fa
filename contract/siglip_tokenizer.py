"""A SigLIP's tokenizer: does every token have a row in the text tower, and is there one to fill a text's places with?

`tokenizer.json` of Hugging Face's tokenizers: Gemma's BPE for SigLIP 2, a Unigram model for the first SigLIP. Texts are
padded to all of the tower's places, so a token for that is a must, and hiding the padding is not.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from contract.documents import object_of
from contract.problems import BadRequest, shorten
from contract.siglip_config import SiglipTextTower
from contract.tokenizer_files import SETTINGS as SETTINGS_FILE
from contract.tokenizer_files import TOKENIZERS, Settings, TokenizerFile, check_merges, check_others, validated
from contract.validation import Stored

MAX_TOKENIZER_BYTES = 48 * 1024 * 1024
"""Of tokenizer.json; Gemma's, with 256,000 tokens, has 34 MB."""
_MAX_BRACKETS, _MAX_QUOTES = 2_000_000, 8_000_000
"""What those bytes may hold at most; Gemma's has 0.6 and 3.5 million. As Python's objects they take some 300 MB."""

GEMMA = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>", "mask_token": "<mask>"}
"""What these tokens are called where tokenizer_config.json does not say it."""
GEMMA_CLASSES = ("GemmaTokenizer", "Siglip2Tokenizer")
"""They make a tokenizer anew of the file's vocabulary and merges; the others take the file as it stands."""
NAMES: dict[str, dict[str, str]] = {
    **dict.fromkeys(GEMMA_CLASSES, GEMMA),
    "SiglipTokenizer": {},
    "TokenizersBackend": {},
    "PreTrainedTokenizer": {},
}
"""By tokenizer_class, with or without Fast at its end."""


class _Unigram(Stored):
    type: Literal["Unigram"]
    vocab: Annotated[list[tuple[str, Annotated[float, Field(strict=True, allow_inf_nan=False)]]], Field(min_length=1)]
    unk_id: Annotated[int, Field(strict=True, ge=0)] | None = None
    byte_fallback: Annotated[bool, Field(strict=True)] = False


class _UnigramFile(TokenizerFile):
    model: _Unigram  # type: ignore[assignment]


def tokenizer_class(said: str | None) -> str:
    """A tokenizer_config.json's without Fast, which says nothing any more."""
    return (said or "TokenizersBackend").removesuffix("Fast")


def check_siglip_tokenizer(read: Callable[..., bytes | None], tower: SiglipTextTower) -> None:
    """`read` gives a file's content, more than the usual bytes where it is told so, or None where there is none. Raises
    BadRequest.
    """
    check_others(read)
    text = read(SETTINGS_FILE)
    settings = validated(SETTINGS_FILE, Settings, object_of(SETTINGS_FILE, text)) if text is not None else Settings()
    kind = tokenizer_class(settings.tokenizer_class)
    if kind not in NAMES:
        raise BadRequest(
            f"{SETTINGS_FILE} names the tokenizer_class {shorten(kind)!r}, for a SigLIP are allowed {', '.join(NAMES)}"
        )
    name = TOKENIZERS[0]
    vocabulary = _vocabulary(name, read(name, MAX_TOKENIZER_BYTES))
    highest = max(vocabulary, key=lambda token: vocabulary[token])
    if vocabulary[highest] >= tower.vocab_size:
        raise BadRequest(
            f"{name} gives {shorten(highest)!r} the number {vocabulary[highest]}, and the text tower has "
            f"{tower.vocab_size} rows: they are not of the same model"
        )
    tokens = NAMES[kind] | settings.tokens()
    if "pad_token" not in tokens:
        raise BadRequest(f"{SETTINGS_FILE} names no pad_token, and a SigLIP reads texts that are padded to one length")
    for role, token in tokens.items():
        if token not in vocabulary:
            raise BadRequest(f"{name} lacks the token {shorten(token)!r}, which is the {role}")


def _vocabulary(name: str, content: bytes | None) -> dict[str, int]:
    """Every token's number."""
    if content is None:
        raise BadRequest(
            f"a SigLIP needs a {name}: SentencePiece's own file (spiece.model, tokenizer.model) is not read. Save the "
            "tokenizer with Hugging Face's tokenizers, or take a revision of the checkpoint that brings one"
        )
    if len(content) <= MAX_TOKENIZER_BYTES and (
        content.count(b"[") + content.count(b"{") > _MAX_BRACKETS or content.count(b'"') > _MAX_QUOTES
    ):
        raise BadRequest(
            f"{name} holds more than {_MAX_BRACKETS:,} lists and objects, or {_MAX_QUOTES // 2:,} texts: no tokenizer "
            "does"
        )
    found = object_of(name, content, MAX_TOKENIZER_BYTES)
    model = found.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind == "Unigram":
        unigram: _UnigramFile = validated(name, _UnigramFile, found)
        pieces = unigram.model.vocab
        if unigram.model.unk_id is not None and unigram.model.unk_id >= len(pieces):
            raise BadRequest(f"{name} has {len(pieces)} tokens, and unk_id {unigram.model.unk_id} is none of them")
        numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
        return numbers | {token.content: token.id for token in unigram.added_tokens}
    file: Any = validated(name, TokenizerFile, found)
    if file.model.type != "BPE":
        raise BadRequest(f"{name} is of the type {shorten(file.model.type)!r}, allowed are 'BPE' and 'Unigram'")
    check_merges(name, file.model)
    bpe: dict[str, int] = file.model.vocab
    return bpe | {token.content: token.id for token in file.added_tokens}
