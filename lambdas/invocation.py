"""One request's way through the endpoint: readable images go in, answers come back in their images' places."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from model.contract import (
    SDK_CONNECT_TIMEOUT_S,
    SDK_READ_TIMEOUT_S,
    AnswerAttributes,
    BadGateway,
    EmbedRequest,
    InspectRequest,
    InvocationAttributes,
    PayloadTooLarge,
    ProblemError,
    Request,
    UnprocessableImage,
    UnsupportedMediaType,
    arrange,
    to_multipart,
)

ANSWERING_MS = 500
"""What a function keeps for itself to hand an answer on."""

Invoke = Callable[[str, bytes], tuple[Any, AnswerAttributes]]
"""From a content type and a body to the endpoint's answer."""

_IMAGE_PROBLEMS = (PayloadTooLarge, UnprocessableImage, UnsupportedMediaType)
"""What the container says of an image rather than of a request."""


def attributes_of(app: APIGatewayRestResolver) -> InvocationAttributes:
    """What the container is told beside the app's current request: its id, and until when an answer is waited for.

    That is when the SDK stops listening, or shortly before the function is stopped if that comes first.
    """
    left_ms = app.lambda_context.get_remaining_time_in_millis() - ANSWERING_MS
    left_ms = min(left_ms, 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S))
    return InvocationAttributes(app.current_event.request_context.request_id or "", int(time.time() * 1000) + left_ms)


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
