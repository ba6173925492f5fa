"""What a check found, as it is told: a sentence, how bad it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`text` is a sentence; `remedy` is the very command, or the place in a console, that changes what it says."""

    level: Literal["ok", "note", "warning", "failure"]
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """Lines for a terminal."""
        word = self.level.upper() if self.level == "failure" else self.level
        return f"  {word:<8} {self.text}" + (f"\n{'':11}{self.remedy}" if self.remedy else "")
