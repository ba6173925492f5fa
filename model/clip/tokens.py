"""Texts as the text tower reads them: token ids, cut to the places it has. Nothing here imports transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """T texts of up to N tokens: `ids` [T, N]; `mask` [T, N], 0 where the tower is to pass padding over, if it is to be
    told; and in `truncated` which texts were longer than the tower reads.
    """

    ids: Tensor
    mask: Tensor | None
    truncated: list[bool]


class ReadTexts(Protocol):
    """Texts to tokens."""

    def __call__(self, texts: Sequence[str]) -> Tokens: ...


@dataclass(frozen=True)
class CausalReader:
    """For a tower that sees no place behind a text's end, and so needs no mask where padding comes behind it.

    The tokenizer belongs to it alone: it is set to pad and to truncate.
    """

    tokenizer: Tokenizer

    @classmethod
    def of(cls, tokenizer: Tokenizer, context_length: int, pad_token: str) -> "CausalReader":
        """Every batch is padded to its longest text: to pad further costs time and changes nothing."""
        tokenizer.enable_truncation(context_length)
        tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad_token), pad_token=pad_token)
        return cls(tokenizer)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        ids = torch.tensor([encoding.ids for encoding in encodings])
        return Tokens(ids, None, [bool(encoding.overflowing) for encoding in encodings])
