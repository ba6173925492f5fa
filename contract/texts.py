"""Texts as the model reads them: which of them it can't tell apart."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

_PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|[_\x1c-\x1f])+")
"""Of lower-case text. Python takes \\x1c to \\x1f for white space, and Unicode does not."""
_AT_ONCE = 1_000
_ASCII_PIECES = re.compile(_PIECES.pattern, re.ASCII)


def same_to_the_model(text: str) -> str:
    """What CLIP's tokenizer makes of `text` before it looks up tokens: two texts with the same result have the same
    tokens, so the model gives them the same score, and one must not be taken for the opposite of the other.

    It reads NFC in lower case, as runs of letters, single digits and runs of other signs; white space only parts them
    (Radford et al. 2021, section 2.4; `simple_tokenizer.py` of openai/CLIP). A text of blanks alone gives "".
    """
    text = _as_read(text)
    return " ".join(_ASCII_PIECES.findall(text) if text.isascii() else _pieces(text))


def twins(texts: Sequence[str]) -> tuple[str, str] | None:
    """Two of the texts that are the same to the model, or None."""
    if len({*_coarse(texts)}) == len(texts):
        return None
    seen: dict[str, str] = {}
    for text in texts:
        identity = same_to_the_model(text)
        if identity in seen:
            return seen[identity], text
        seen[identity] = text
    return None


def distinct(texts: list[str]) -> list[str]:
    """The texts without those that are the same to the model as one before."""
    (found,) = distinct_each([texts])
    return found


def distinct_each(lists: Sequence[list[str]]) -> list[list[str]]:
    """`distinct` of each of the lists."""
    found = _coarse([text for texts in lists for text in texts])
    if len({*found}) == len(found):
        return [*lists]
    coarse = iter(found)
    return [texts if len({*islice(coarse, len(texts))}) == len(texts) else _distinct(texts) for texts in lists]


def _distinct(texts: list[str]) -> list[str]:
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(same_to_the_model(text), text)
    return list(found.values())


def _coarse(texts: Sequence[str]) -> list[str]:
    """Something that is the same for texts that are the same to the model, and seldom for others. It takes a tenth of
    the time, for all of them are read at once, without their blanks.
    """
    coarse: list[str] = []
    for start in range(0, len(texts), _AT_ONCE):  # not all: five copies of 20,000 long ones are 500 MB
        coarse += "".join(_as_read("\0".join(texts[start : start + _AT_ONCE])).split()).split("\0")
    return coarse if len(coarse) == len(texts) else [""] * len(texts)  # one of them holds a NUL


def _as_read(text: str) -> str:
    # lower() looks around a capital sigma; the tokenizer takes each character by itself
    return unicodedata.normalize("NFC", text).replace("Σ", "σ").lower()


def _pieces(text: str) -> Iterator[str]:
    for piece in _PIECES.findall(text):
        if piece.isalnum() and not piece.isalpha():  # `re` takes numbers such as ½ for letters
            yield from "".join(char if char.isalpha() else f" {char} " for char in piece).split()
        else:
            yield piece
