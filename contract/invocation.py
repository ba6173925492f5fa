"""What the Lambda and the container tell each other beside the body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, quote_plus, urlencode

from contract.limits import MAX_CUSTOM_ATTRIBUTES_CHARS, MODEL_VERSION_HEADER, SERVER_TIMING_HEADER, WARNING_HEADER

HEAD_DIGITS = 12
"""Of a head's sha256, as it is told: those of 32 questions fit beside the rest."""

_NOT_IN_A_HEADER = re.compile("[^ -~]")


@dataclass(frozen=True)
class InvocationAttributes:
    """What the Lambda tells the container beside the body."""

    request_id: str = ""
    deadline_epoch_ms: int | None = None
    """When nobody waits for the answer any more, as Unix time."""

    def encode(self) -> str:
        pairs = {"request_id": self.request_id[:128]}
        if self.deadline_epoch_ms is not None:
            pairs["deadline_epoch_ms"] = str(self.deadline_epoch_ms)
        return urlencode(pairs)

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """Read what `encode` wrote. Anything else is ignored: the container also answers callers who send nothing."""
        pairs = dict(parse_qsl(text or ""))
        deadline = pairs.get("deadline_epoch_ms", "")
        is_time = deadline.isdecimal() and len(deadline) < 20
        return cls(pairs.get("request_id", ""), int(deadline) if is_time else None)


@dataclass(frozen=True)
class AnswerAttributes:
    """What the container tells the Lambda beside the body."""

    model_version: str = ""
    truncated_prompts: int = 0
    context_tokens: int = 0
    """How many tokens of a text the model reads; CLIP's own limit is 77."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    """The first HEAD_DIGITS of the sha256 of each head that has answered. One that was asked for and is not among them
    belongs to another model or question, whose words have answered.
    """

    def encode(self) -> str:
        told = f"model_version={quote_plus(self.model_version[:256])}"
        told += f"&truncated_prompts={self.truncated_prompts}&context_tokens={self.context_tokens}"
        if self.heads:
            told += "&heads=" + ".".join(each[:HEAD_DIGITS] for each in self.heads)
        timings = "".join(f"&ms.{stage}={duration_ms:.1f}" for stage, duration_ms in self.timings_ms.items())
        return (told + timings)[:MAX_CUSTOM_ATTRIBUTES_CHARS]

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """Read what `encode` wrote."""
        pairs = dict(parse_qsl(text or ""))
        return cls(
            pairs.get("model_version", ""),
            int(pairs.get("truncated_prompts", 0)),
            int(pairs.get("context_tokens", 0)),
            {name.removeprefix("ms."): float(value) for name, value in pairs.items() if name.startswith("ms.")},
            tuple(pairs["heads"].split(".")) if "heads" in pairs else (),
        )

    def headers(self) -> dict[str, str]:
        """The response headers a caller sees."""
        timings = ", ".join(f"{stage};dur={duration_ms:.1f}" for stage, duration_ms in self.timings_ms.items())
        version = _NOT_IN_A_HEADER.sub("?", self.model_version)  # whatever an image of another version lets through
        headers = {MODEL_VERSION_HEADER: version, SERVER_TIMING_HEADER: timings}
        if self.truncated_prompts:
            headers[WARNING_HEADER] = (
                f'299 wordsight "{self.truncated_prompts} texts are longer than the {self.context_tokens} tokens '
                'the model reads; what follows was left out"'
            )
        return {name: value for name, value in headers.items() if value}
