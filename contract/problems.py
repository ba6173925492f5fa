"""Problems: every failure that a caller is told of, as RFC 9457 problem details."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from contract.deferred import Deferred
from contract.limits import MAX_DETAIL_CHARS

QUOTED_CHARS = 60
"""Of a value in a sentence."""


class ProblemError(Exception):
    """A failure with its sentence for the caller, rendered as RFC 9457 problem details by `body`.

    Raised near the cause; each process turns it into HTTP in exactly one place. A sentence that quotes too much of what
    was sent is cut to MAX_DETAIL_CHARS, and half of a character in it is written as its escape.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        self.detail = shorten(detail, MAX_DETAIL_CHARS).encode(errors="backslashreplace").decode()
        super().__init__(self.detail)
        self.retry_after_s = retry_after_s

    def body(self, instance: str | None = None) -> dict[str, Any]:
        """The problem as JSON-ready members; `instance` is the request id.

        `error` repeats `detail` because huggingface_hub's client prints only that member.
        """
        members = {
            "type": f"urn:wordsight:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
            "instance": instance,
            "retry_after_s": self.retry_after_s,
        }
        return {name: value for name, value in members.items() if value is not None}


class BadRequest(ProblemError):
    status, slug, title = 400, "bad-request", "The request breaks the contract"


class Forbidden(ProblemError):
    """Only API Gateway answers with it: the function never sees who is asking."""

    status, slug, title = 403, "forbidden", "The caller is not let in"


class NotFound(ProblemError):
    status, slug, title = 404, "not-found", "There is no such thing"


class Conflict(ProblemError):
    status, slug, title = 409, "conflict", "It can't be done in the present state"


class UnknownHeads(Conflict):
    """The container is asked by heads that it does not hold. Whoever asks sends the same again with their bytes; no
    caller of the API hears of it.
    """

    slug, title = "unknown-heads", "The model does not hold these heads"

    def __init__(self, heads: Iterable[str]) -> None:
        self.heads = tuple(heads)
        names = names_in_words(self.heads)
        super().__init__(f"the model does not hold the heads {names}: send the same request with their bytes")

    def body(self, instance: str | None = None) -> dict[str, Any]:
        """As of any problem, and `unknown_heads`: the sha256 of each."""
        return {**super().body(instance), "unknown_heads": list(self.heads)}

    @classmethod
    def told(cls, body: Mapping[str, Any]) -> "UnknownHeads | None":
        """The problem that a container's answer of status 409 is; None if it is another."""
        heads = body.get("unknown_heads")
        return cls(map(str, heads)) if isinstance(heads, list) else None


class PreconditionFailed(ProblemError):
    """An update would have overwritten another one that its writer had not seen."""

    status, slug, title = 412, "precondition-failed", "It was changed meanwhile"


class PayloadTooLarge(ProblemError):
    status, slug, title = 413, "payload-too-large", "The request is too large"


class UnsupportedMediaType(ProblemError):
    status, slug, title = 415, "unsupported-media-type", "This media type is not understood"


class UnprocessableImage(ProblemError):
    status, slug, title = 422, "unprocessable-image", "The image can't be read"


class TooManyRequests(ProblemError):
    status, slug, title = 429, "too-many-requests", "Too many requests"


class InternalError(ProblemError):
    status, slug, title = 500, "internal-error", "Wordsight failed"


class BadGateway(ProblemError):
    status, slug, title = 502, "bad-gateway", "The model failed"


class ServiceUnavailable(ProblemError):
    status, slug, title = 503, "service-unavailable", "The model is not available now"


class GatewayTimeout(ProblemError):
    status, slug, title = 504, "gateway-timeout", "The model did not answer in time"


class ModelStopped(ServiceUnavailable):
    """The container's process ended before it answered. Whether by this request is not known."""


PROBLEMS: dict[int, type[ProblemError]] = {cls.status: cls for cls in ProblemError.__subclasses__()}


class Problem(Deferred):
    """Problem details (RFC 9457): the body of every answer that is not a success, and of a bad item in a list."""

    type: str
    title: str
    status: int
    detail: str
    error: str = Field(description="The same sentence as `detail`: Hugging Face's client shows this member")
    instance: str | None = Field(default=None, description="The request id; quote it when asking for help")
    retry_after_s: int | None = None
    state: str | None = Field(default=None, description="Of a stage without endpoint: pausing, paused or resuming")


def answer_too_large(size_bytes: int, most_bytes: int) -> BadRequest:
    """What is wrong with a request whose answer can't be handed back."""
    return BadRequest(
        f"the answer would be {size_bytes:,} bytes, at most {most_bytes:,} can be returned: "
        "set top_k, or ask for fewer images, labels or texts"
    )


def shorten(text: str, chars: int = QUOTED_CHARS) -> str:
    """The text as a sentence quotes it: cut, and marked as cut, if it is longer."""
    return text if len(text) <= chars else text[: chars - 1] + "…"


def shown(value: object) -> str:
    """A value as a sentence quotes it: the beginning of its JSON, of which no more is written than that."""
    written = ""
    cut = value[: QUOTED_CHARS + 1] if isinstance(value, str) else value
    for chunk in json.JSONEncoder(default=str).iterencode(cut):
        written += chunk
        if len(written) > QUOTED_CHARS:
            break
    return shorten(written)


def names_in_words(names: Iterable[str], most: int = 5) -> str:
    """Names that somebody has made up, as a sentence tells them: the first of them, each shortened."""
    every = [*names]
    more = [f"and {len(every) - most} more"] if len(every) > most else []
    return ", ".join([*map(shorten, every[:most]), *more])
