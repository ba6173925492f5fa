"""API keys of two kinds. A key's kind stands in its value, which API Gateway checks as a whole: nobody who holds a key
can change what it may do, and nobody has to look it up.
"""

from typing import Literal

KeyKind = Literal["ask", "manage"]
"""`ask`: images may be asked about. `manage`: also everything that costs, teaches, changes or destroys."""

ASK_KEY_PREFIX = "ask-"


def kind_of(key: str) -> KeyKind:
    """What a key may do by its value: every one that does not say that it only asks manages, as CDK's own does."""
    return "ask" if key.startswith(ASK_KEY_PREFIX) else "manage"
