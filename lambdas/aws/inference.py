"""The one way of images through the endpoint: readable ones go in, answers and problems come back in their places."""

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from contract.answers import Inspection, arrange
from contract.images import ThumbnailRequest
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import CONTAINER_TIMEOUT_S, MAX_IMAGES
from contract.problems import PROBLEMS, BadGateway, PayloadTooLarge, ProblemError, UnknownHeads
from contract.requests import ClassifyRequest, EmbedRequest, InspectRequest, Request, to_multipart
from contract.teaching import Lesson, TeachRequest
from lambdas.aws.clients import concurrently
from lambdas.aws.endpoint import Endpoint


class Look(Inspection):
    """An inspection, and the version of the model that has made its `embedding`."""

    model_version: str


Inspect = Callable[[Sequence[bytes]], Sequence[Look | ProblemError]]
"""What the container says of each image, or why it can't read it."""

Item = TypeVar("Item")


def infer(
    request: Request, images: Sequence[bytes | ProblemError], endpoint: Endpoint, attributes: InvocationAttributes
) -> tuple[Any, AnswerAttributes]:
    """The response body for `request`, whose `images` were read before, and what the container says beside it.

    Raises the problem of a lone image; in a list it takes its image's place.
    """
    answer, beside = _invoke(request, images, endpoint, attributes)
    if isinstance(request, EmbedRequest):
        return {**answer, "images": arrange(_in_places(images, answer["images"]), listed=True)}, beside
    return arrange(_in_places(images, answer), listed=request.listed), beside


def infer_taught(
    request: ClassifyRequest,
    images: Sequence[bytes | ProblemError],
    endpoint: Endpoint,
    attributes: InvocationAttributes,
    read_head: Callable[[str], bytes | None],
) -> tuple[Any, AnswerAttributes]:
    """`infer` for a request whose saved tasks are taught. The container holds heads by their sha256; `read_head` finds
    those for it that it does not hold. One that is gone meanwhile was erased: the words answer then.
    """
    try:
        return infer(request, images, endpoint, attributes)
    except UnknownHeads as problem:
        found = dict(zip(problem.heads, concurrently(read_head, problem.heads), strict=True))
        heads = {name: sha256 for name, sha256 in request.heads.items() if found.get(sha256, b"") is not None}
        files = {sha256: content for sha256, content in found.items() if content is not None}
        return infer(replace(request, heads=heads, head_files=files), images, endpoint, attributes)


def teach(request: TeachRequest, endpoint: Endpoint) -> Lesson:
    """What the container makes of annotated images. Raises what `Endpoint.invoke` raises."""
    answer, _ = endpoint.invoke(*to_multipart(request, ()), attributes_within("teach"))
    try:
        return Lesson.model_validate(answer)
    except ValidationError as error:
        raise BadGateway("the model's answer is no lesson: the endpoint runs a foreign or older image") from error


def inspect(images: Sequence[bytes], endpoint: Endpoint, attributes: InvocationAttributes) -> list[Look | ProblemError]:
    """What the container says of each image, or why it can't read it. Raises what `Endpoint.invoke` raises."""
    answers, beside = _invoke(InspectRequest(list(images)), images, endpoint, attributes)
    version = {"model_version": beside.model_version}
    found = _in_places(images, answers)
    return [each if isinstance(each, ProblemError) else cast(Look, {**each, **version}) for each in found]


def thumbnail(image: bytes, size_px: int, endpoint: Endpoint, attributes: InvocationAttributes) -> bytes:
    """An image shrunk by the container, as JPEG. Raises its problem, and what `Endpoint.invoke` raises."""
    answers, _ = _invoke(ThumbnailRequest([image], size_px), [image], endpoint, attributes)
    (shrunk,) = _in_places([image], answers)
    if isinstance(shrunk, ProblemError):
        raise shrunk
    return base64.b64decode(shrunk)


def attributes_within(request_id: str, timeout_s: float = CONTAINER_TIMEOUT_S) -> InvocationAttributes:
    """Those of an invocation for which a worker waits so long."""
    return InvocationAttributes(request_id, int((time.time() + timeout_s) * 1000))


def invocation_chunks(
    pairs: Iterable[tuple[Item, bytes | ProblemError]], max_bytes: int, max_images: int = MAX_IMAGES
) -> Iterator[list[tuple[Item, bytes | ProblemError]]]:
    """The pairs in their order, each item beside its image or its problem, as many together as one invocation takes.

    `max_bytes`: `Endpoint.max_image_bytes`.
    """
    chunk: list[tuple[Item, bytes | ProblemError]] = []
    size_bytes = 0
    for item, image in pairs:
        image_bytes = len(image) if isinstance(image, bytes) else 0
        if len(chunk) == max_images or (chunk and size_bytes + image_bytes > max_bytes):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append((item, image))
        size_bytes += image_bytes
    if chunk:
        yield chunk


def _invoke(
    request: Request, images: Sequence[bytes | ProblemError], endpoint: Endpoint, attributes: InvocationAttributes
) -> tuple[Any, AnswerAttributes]:
    """The container's answer about the images that are none's problem yet, always with a list of them."""
    readable = [image for image in images if isinstance(image, bytes)]
    if isinstance(request, EmbedRequest) and not readable and not request.texts:
        return {"images": [], "texts": []}, AnswerAttributes()
    if not isinstance(request, EmbedRequest) and not readable:
        return [], AnswerAttributes()
    if not isinstance(request, ClassifyRequest):
        return endpoint.invoke(*to_multipart(request, readable), attributes)
    try:
        return endpoint.invoke(*to_multipart(replace(request, listed=True), readable), attributes)
    except PayloadTooLarge as problem:
        if len(readable) > 1:
            raise
        return [problem.body()], AnswerAttributes()  # it is this image that is too large


def _in_places(images: Sequence[bytes | ProblemError], answers: Sequence[Any]) -> list[Any]:
    """One item per image: its answer, what the container could not read of it, or the problem it had before."""
    if len(answers) != sum(isinstance(image, bytes) for image in images):
        raise BadGateway("the model answered a different number of images than it was sent")
    remaining = map(_answer_or_problem, answers)
    return [next(remaining) if isinstance(image, bytes) else image for image in images]


def _answer_or_problem(item: Any) -> Any:
    """Scores, a vector, an inspection, or a problem; by task, the member `status` would be a list of scores."""
    if isinstance(item, dict) and isinstance(item.get("status"), int):
        return PROBLEMS[item["status"]](item["detail"])
    return item
