"""Texts as the model reads them: which of them it can't tell apart."""

import re
import unicodedata

_CONTRACTION = re.compile("'(?:s|t|re|ve|m|ll|d)")
_BLANKS = "\x1c\x1d\x1e\x1f"
"""Separators that Python takes for white space and Unicode does not."""


def same_to_the_model(text: str) -> str:
    """What CLIP's tokenizer makes of `text` before it looks up tokens: two texts with the same result have the same
    tokens, so the model gives them the same score, and one must not be taken for the opposite of the other.

    It reads NFC in lower case, as runs of letters, single digits and runs of other signs; white space only parts them
    (Radford et al. 2021, section 2.4; `simple_tokenizer.py` of openai/CLIP). A text of blanks alone gives "".
    """
    text = "".join(char.lower() for char in unicodedata.normalize("NFC", text))
    pieces: list[str] = []
    end = 0
    while end < len(text):
        start, kind = end, _kind(text[end])
        if contraction := _CONTRACTION.match(text, start):
            end = contraction.end()
        else:
            end += 1
            while kind != "N" and end < len(text) and _kind(text[end]) == kind:
                end += 1
        if kind != "Z":
            pieces.append(text[start:end])
    return " ".join(pieces)


def _kind(char: str) -> str:
    """L for a letter, N for a digit, Z for white space, P for every other sign."""
    if char.isspace() and char not in _BLANKS:
        return "Z"
    category = unicodedata.category(char)[0]
    return category if category in "LN" else "P"
