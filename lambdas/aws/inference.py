"""One request's way through the endpoint: readable images go in, answers come back in their images' places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from contract.answers import Inspection, arrange
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import MAX_IMAGES, MAX_INVOCATION_BYTES
from contract.problems import (
    PROBLEMS,
    BadGateway,
    PayloadTooLarge,
    ProblemError,
    UnprocessableImage,
    UnsupportedMediaType,
)
from contract.requests import EmbedRequest, InspectRequest, Request, to_multipart
from lambdas.aws.endpoint import Endpoint

Invoke = Callable[[str, bytes], tuple[Any, AnswerAttributes]]
"""From a content type and a body to the endpoint's answer."""

_IMAGE_PROBLEMS = (PayloadTooLarge, UnprocessableImage, UnsupportedMediaType)
"""What the container says of an image rather than of a request."""


def infer(request: Request, images: Sequence[bytes | ProblemError], invoke: Invoke) -> tuple[Any, AnswerAttributes]:
    """The response body for `request`, whose `images` were read before, and what the container says beside it.

    Raises the problem of a lone image; in a list it takes its image's place.
    """
    readable = [image for image in images if isinstance(image, bytes)]
    texts = request.texts if isinstance(request, EmbedRequest) else []
    if not readable and not texts:  # every image has its problem already
        items = arrange(images, listed=request.listed)
        return {"images": items, "texts": []} if isinstance(request, EmbedRequest) else items, AnswerAttributes()
    content_type, body = to_multipart(request, readable)
    if isinstance(request, EmbedRequest):
        answer, attributes = invoke(content_type, body)
        return {**answer, "images": _in_places(images, answer["images"])}, attributes
    if len(readable) > 1 or isinstance(request, InspectRequest):
        answers, attributes = invoke(content_type, body)
    else:
        answers, attributes = _lone(invoke, content_type, body, listed=request.listed)
    return (_in_places(images, answers) if request.listed else answers[0]), attributes


def _lone(invoke: Invoke, content_type: str, body: bytes, *, listed: bool) -> tuple[list[Any], AnswerAttributes]:
    """The container answers one image without a list around it, and with an error if it can't be read."""
    try:
        answer, attributes = invoke(content_type, body)
    except _IMAGE_PROBLEMS as problem:
        if not listed:
            raise
        return [problem], AnswerAttributes()
    return [answer], attributes


def _in_places(images: Sequence[bytes | ProblemError], answers: Sequence[Any]) -> list[Any]:
    """One item per image: its answer, or the problem it had before the model saw it."""
    if len(answers) != sum(isinstance(image, bytes) for image in images):
        raise BadGateway("the model answered a different number of images than it was sent")
    remaining = iter(answers)
    items = [next(remaining) if isinstance(image, bytes) else image for image in images]
    rendered: list[Any] = arrange(items, listed=True)
    return rendered


def inspector(endpoint: Endpoint, attributes: Callable[[], InvocationAttributes]) -> Inspect:
    """Asks `endpoint` with what `attributes` says at that moment. Raises what `Endpoint.invoke` raises."""

    def inspect(images: Sequence[bytes]) -> list[Inspection | ProblemError]:
        answers, _ = endpoint.invoke(*to_multipart(InspectRequest(list(images)), images), attributes())
        if len(answers) != len(images):
            raise BadGateway("the model answered a different number of images than it was sent")
        return [PROBLEMS[each["status"]](each["detail"]) if "status" in each else each for each in answers]

    return inspect


Item = TypeVar("Item")


def packs(
    pairs: Iterable[tuple[Item, bytes | ProblemError]], max_images: int = MAX_IMAGES
) -> Iterator[list[tuple[Item, bytes | ProblemError]]]:
    """The pairs in their order, each item beside its image or the problem it has, as many together as may be sent."""
    pack: list[tuple[Item, bytes | ProblemError]] = []
    size_bytes = 0
    for item, image in pairs:
        image_bytes = len(image) if isinstance(image, bytes) else 0
        if len(pack) == max_images or (pack and size_bytes + image_bytes > MAX_INVOCATION_BYTES):
            yield pack
            pack, size_bytes = [], 0
        pack.append((item, image))
        size_bytes += image_bytes
    if pack:
        yield pack


Inspect = Callable[[Sequence[bytes]], Sequence[Inspection | ProblemError]]
"""What the container says of each image, or why it can't read it."""
