"""Requests: what the model is asked, in every encoding.

They speak the shape of Hugging Face's zero-shot-image-classification task
(https://huggingface.co/docs/api-inference/tasks/zero-shot-image-classification) and extend it: several images,
several tasks, labels described by sentences, independent (`multi_label`) scores.

A request travels twice: as JSON, a raw image or a form from the caller to the Lambda, and as multipart from the Lambda
to the container. `parse_request` reads all of these, so the same image gives the same scores however it was sent.
"""

import base64
import binascii
import json
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_args

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from contract.forms import PARAMETER_FIELDS, Cut, one_or_list, only_one, read_fields, read_parameters, write_form
from contract.images import ThumbnailRequest, thumbnail_size
from contract.limits import MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_S3_KEY_BYTES, MAX_SCORES, MAX_TEXTS, UPLOADS_PREFIX
from contract.problems import BadRequest, PayloadTooLarge, ProblemError, names_in_words, shorten, shown
from contract.questions import ONE_OR_MANY, Parameters, Text
from contract.teaching import HeadsBody, TeachRequest, heads_fields, read_heads
from contract.validation import JSON, AtMost, Strict, json_object, json_object_of, media_type_of, validate

EXAMPLE_IMAGE_BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mO8IyfHgA0wMeAAg1MCAOBWAShOAhDlAAAAAElFTkSuQmCC"
)
"""A red square as a PNG, for the examples of the OpenAPI document."""
_BLANKS = string.whitespace.encode()


def _fits_s3(key: str) -> str:
    if (size := len(key.encode(errors="replace"))) > MAX_S3_KEY_BYTES:
        raise ValueError(f"an s3_key has at most {MAX_S3_KEY_BYTES} bytes, got {size}")
    return key


class S3Object(Strict):
    """An image in the data bucket, uploaded before."""

    s3_key: Annotated[str, StringConstraints(min_length=len(UPLOADS_PREFIX) + 1), AfterValidator(_fits_s3)] = Field(
        description="The key that POST /uploads answered with"
    )


class InlineImage(Strict):
    """An image as Hugging Face's JavaScript client writes it: base64 under a name."""

    image: str = Field(description="The image's file as base64")


def _source(value: object) -> object:
    match value:
        case str():
            return value
        case {"image": str(image), **others} if not others:
            return image
        case {"s3_key": str(key), **others} if not others:
            if not key.startswith(UPLOADS_PREFIX):
                raise ValueError(f"an s3_key must start with {UPLOADS_PREFIX!r}, got {shorten(key)!r}")
            return value
    raise ValueError(f'an image is base64 text or {{"s3_key": "{UPLOADS_PREFIX}…"}}, got {shown(value)}')


def _sources(value: object) -> object:
    if not isinstance(value, list):
        return _source(value)
    if len(value) > MAX_IMAGES:
        raise ValueError(f"{len(value)} images, between 1 and {MAX_IMAGES} are allowed in one request")
    return [*map(_source, value)]


# `json_schema_input_type` is what a caller may write
_Written = str | InlineImage | S3Object
ImageField = Annotated[str | S3Object, BeforeValidator(_source, json_schema_input_type=_Written)]
"""One image of a JSON body."""
_Images = Annotated[list[str | S3Object], BeforeValidator(_sources, json_schema_input_type=list[_Written])]


class ClassifyBody(Strict):
    """The JSON body of POST /classify."""

    inputs: Annotated[
        str | S3Object | list[str | S3Object],
        BeforeValidator(_sources, json_schema_input_type=_Written | list[_Written]),
    ] = Field(description="An image as base64, or a list of images")
    parameters: Parameters = Field(description="What is asked of the image")

    EXAMPLES: ClassVar = {
        "labels": {
            "inputs": EXAMPLE_IMAGE_BASE64,
            "parameters": {"candidate_labels": ["a red square", "a blue square"]},
        },
        "annotations: Labels described by sentences, scored each on its own": {
            "inputs": [EXAMPLE_IMAGE_BASE64],
            "parameters": {
                "candidate_labels": [
                    {"label": "red", "annotations": ["a red square", "something painted red"]},
                    {"label": "round", "annotations": ["a circle", "a ball"]},
                ],
                "multi_label": True,
            },
        },
        "tasks: Several questions about one image": {
            "inputs": EXAMPLE_IMAGE_BASE64,
            "parameters": {
                "tasks": {
                    "colour": {"candidate_labels": "red, blue"},
                    "shape": {"candidate_labels": "square, circle", "top_k": 1},
                }
            },
        },
    }


class EmbedInputs(Strict):
    """What is embedded: images, texts, or both."""

    images: _Images = Field(default=[], max_length=MAX_IMAGES, description="Images as base64")
    texts: Annotated[list[Text], AtMost(MAX_TEXTS), ONE_OR_MANY] = Field(default=[], description="Texts, or one text")


class EmbedBody(Strict):
    """The JSON body of POST /embed."""

    inputs: EmbedInputs = Field(description="Images, texts, or both")

    EXAMPLES: ClassVar = {"both": {"inputs": {"images": [EXAMPLE_IMAGE_BASE64], "texts": ["a red square"]}}}


class InspectBody(Strict):
    """What the Lambda asks of images before it keeps them, as JSON."""

    inputs: _Images


class ThumbnailBody(InspectBody):
    """What the Lambda asks to be shrunk, as JSON."""

    size: str


ImageSource = bytes | S3Object | ProblemError
"""Where an image comes from, or why it can't: one bad image of a list must not lose the others."""


@dataclass(frozen=True)
class ClassifyRequest:
    """What POST /classify asks, whatever its encoding. `listed`: the answer is a list, even of one."""

    operation: ClassVar[str] = "classify"
    images: list[ImageSource]
    parameters: Parameters
    listed: bool = False
    heads: Mapping[str, str] = field(default_factory=dict)
    """By the names of `Parameters.questions`, the sha256 of the head that is to answer in place of the words. Only the
    API says so, to the container: no caller can.
    """
    head_files: Mapping[str, bytes] = field(default_factory=dict)
    """Of these heads those that come along, for a container that does not hold them."""

    def __post_init__(self) -> None:
        _check_count(self.images)
        if unasked := self.heads.keys() - self.parameters.questions.keys():
            raise BadRequest(f"heads names {names_in_words(sorted(unasked))}, which is not asked")
        scores = len(self.images) * sum(q.answered_labels for q in self.parameters.questions.values())
        if scores > MAX_SCORES:
            raise BadRequest(
                f"{len(self.images)} images x labels is {scores} scores, at most {MAX_SCORES} are answered: "
                "set top_k or send fewer images"
            )

    def fields(self) -> dict[str, Any]:
        """Everything but the images, as form fields holding JSON."""
        parameters = self.parameters.model_dump(exclude_unset=True)
        listed = {"listed": True} if self.listed else {}
        return {"parameters": parameters, **listed, **heads_fields(self.heads, self.head_files)}

    def with_saved_tasks(self, saved: Mapping[str, Mapping[str, Any]]) -> Self:
        """The same request with `Parameters.with_saved`. Raises BadRequest."""
        return replace(self, parameters=self.parameters.with_saved(saved))


@dataclass(frozen=True)
class EmbedRequest:
    """What POST /embed asks."""

    operation: ClassVar[str] = "embed"
    images: list[ImageSource]
    texts: list[str] = field(default_factory=list)
    listed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.images and not self.texts:
            raise BadRequest("nothing to embed: give inputs.images, inputs.texts or both")
        if len(self.images) > MAX_IMAGES:
            raise BadRequest(f"{len(self.images)} images, at most {MAX_IMAGES} are allowed in one request")

    def fields(self) -> dict[str, Any]:
        """Everything but the images, as form fields holding JSON."""
        return {"texts": self.texts}


@dataclass(frozen=True)
class InspectRequest:
    """What the API asks the container about images before it keeps them. No route asks it."""

    operation: ClassVar[str] = "inspect"
    images: list[ImageSource]
    listed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_count(self.images)

    def fields(self) -> dict[str, Any]:
        """Nothing is asked but by the images."""
        return {}


@dataclass(frozen=True)
class DescribeRequest:
    """What the API asks the container about its models. No route asks it."""

    operation: ClassVar[str] = "describe"
    images: list[ImageSource] = field(default_factory=list)
    listed: ClassVar[bool] = False

    def fields(self) -> dict[str, Any]:
        """Nothing is asked but by the operation."""
        return {}


Request = ClassifyRequest | EmbedRequest | InspectRequest | ThumbnailRequest | DescribeRequest | TeachRequest
Operation = Literal["classify", "embed", "inspect", "thumbnail", "describe", "teach"]


def _check_count(images: Sequence[ImageSource]) -> None:
    if not 1 <= len(images) <= MAX_IMAGES:
        raise BadRequest(f"{len(images)} images, between 1 and {MAX_IMAGES} are allowed in one request")


def parse_request(
    content_type: str | None,
    body: bytes,
    query: Mapping[str, Sequence[str]] | None = None,
    *,
    operation: Operation | None = None,
    max_image_bytes: int = MAX_INLINE_IMAGE_BYTES,
    cut: Cut | None = None,
) -> Request:
    """Read a request in any of its encodings: JSON, a raw image with parameters in the query, or a form.

    `operation` is fixed by the route; the container passes None and the body names it ("classify" if it does not).
    `cut`: what `read_fields` has made of it, if that is known already.

    Raises BadRequest, UnsupportedMediaType or PayloadTooLarge with a sentence for the caller. In a list of images, a
    bad one becomes a ProblemError in its place instead.
    """
    query = query or {}
    if media_type_of(content_type) == JSON:
        if query:
            raise BadRequest(
                f"the parameters of a JSON request go in its body, got {names_in_words(query)} in the query"
            )
        request = _from_json(body, operation)
    else:
        request = _from_fields(*(cut or read_fields(content_type, body, query)), operation)
    if operation is None and isinstance(request, ClassifyRequest) and request.parameters.task:
        raise BadRequest("the model knows no saved tasks: the API looks them up, send candidate_labels or tasks here")
    check_bytes(request.images, max_image_bytes)
    return request


def check_bytes(images: Iterable[ImageSource], max_image_bytes: int = MAX_INLINE_IMAGE_BYTES) -> None:
    """Raises PayloadTooLarge if the images that were sent are larger together than one request may be."""
    size = sum(len(image) for image in images if isinstance(image, bytes))
    if size > max_image_bytes:
        raise PayloadTooLarge(
            f"{size:,} bytes of images, at most {max_image_bytes:,} are allowed in one request: shrink them to 1024 px "
            "on the longer side, which the model can't tell from the original"
        )


def _from_json(body: bytes, operation: Operation | None) -> Request:
    data, heads = json_object(body), HeadsBody()
    if operation is None:
        operation = _check_operation(data.pop("operation", "classify"))
        if operation == "classify":
            heads = read_heads(_taken(data, HeadsBody.model_fields))
    if operation == "embed":
        embed = validate(EmbedBody, data).inputs
        return EmbedRequest([source_or_problem(source) for source in embed.images], embed.texts)
    if operation == "inspect":
        return InspectRequest([source_or_problem(source) for source in validate(InspectBody, data).inputs])
    if operation == "thumbnail":
        shrunk = validate(ThumbnailBody, data)
        return ThumbnailRequest([*map(source_or_problem, shrunk.inputs)], thumbnail_size(shrunk.size))
    if operation == "describe":
        return DescribeRequest()
    if operation == "teach":
        return TeachRequest.read(data)
    classify = validate(ClassifyBody, data)
    inputs, listed = classify.inputs, isinstance(classify.inputs, list)
    images: list[ImageSource]
    images = [*map(source_or_problem, inputs)] if isinstance(inputs, list) else [_decode(inputs)]
    return ClassifyRequest(images, classify.parameters, listed, heads.heads, heads.files())


def _taken(data: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """These members, which are not in `data` any more."""
    return {name: data.pop(name) for name in names if name in data}


def _decode(source: str | S3Object) -> bytes | S3Object:
    if isinstance(source, S3Object):
        return source
    if source[:8].lower().startswith(("http://", "https://", "s3://")):
        raise BadRequest(
            f"{shorten(source)!r} is a URL, which is never fetched: send the image's bytes as base64, "
            'or {"s3_key": "' + UPLOADS_PREFIX + '…"}'
        )
    if source[:5].lower() == "data:":  # as all schemes (RFC 3986, section 3.1)
        source = source.partition(",")[2]
    try:
        try:
            image = base64.b64decode(source, validate=True)
        except binascii.Error:
            # `base64 file` and Python's encodebytes wrap lines, so white space is not an error
            image = base64.b64decode(source.encode("ascii").translate(None, _BLANKS), validate=True)
    except ValueError as error:
        raise BadRequest(f"the image is not valid base64 ({error}), got {shorten(source)!r}") from None
    if not image:
        raise BadRequest("the image is empty: send its bytes as base64")
    return image


def source_or_problem(source: str | S3Object) -> ImageSource:
    """What an image of a JSON body stands for; one that is no base64 becomes its problem."""
    try:
        return _decode(source)
    except ProblemError as problem:
        return problem


def _check_operation(value: object) -> Operation:
    if value in get_args(Operation):
        return cast(Operation, value)
    raise BadRequest(f"operation {shown(value)} is unknown, allowed are {', '.join(get_args(Operation))}")


def _from_fields(images: list[bytes], fields: Mapping[str, Sequence[str]], operation: Operation | None) -> Request:
    remaining: dict[str, Any]
    remaining, listed, heads = dict(fields), len(images) > 1, HeadsBody()
    if operation is None:
        operation = _check_operation(only_one(remaining.pop("operation", ["classify"]), "operation"))
        listed = remaining.pop("listed", None) == ["true"] or listed
        if operation == "classify":
            taken = _taken(remaining, HeadsBody.model_fields)
            heads = read_heads({name: only_one(values, name) for name, values in taken.items()}) if taken else heads
    if operation == "embed":
        texts = remaining.pop("texts", None)
        if remaining:
            raise BadRequest(f"{names_in_words(remaining)}: not a known field, allowed are image and texts")
        embed = validate(EmbedInputs, {"texts": one_or_list(texts) if texts else []})
        return EmbedRequest(list(images), embed.texts)
    if operation == "inspect":
        if remaining:
            raise BadRequest(f"{names_in_words(remaining)}: not a known field, allowed is image")
        return InspectRequest(list(images))
    if operation == "thumbnail":
        return ThumbnailRequest(list(images), thumbnail_size(only_one(remaining.pop("size", []), "size")))
    if operation == "describe":
        return DescribeRequest()
    if operation == "teach":
        lesson = json_object_of(only_one(remaining.pop("teach", ["null"]), "teach"), "teach")
        return TeachRequest.read(lesson)
    if unknown := [name for name in remaining if name not in PARAMETER_FIELDS]:
        raise BadRequest(
            f"{names_in_words(unknown)}: not a known field, allowed are image, {', '.join(PARAMETER_FIELDS)}"
        )
    parameters = read_parameters(remaining)
    return ClassifyRequest(list(images), parameters, listed, heads.heads, heads.files())


def to_multipart(request: Request, images: Sequence[bytes]) -> tuple[str, bytes]:
    """(content type, body) of `request` with `images` as raw bytes: what the Lambda sends to the container.

    A form with one image is answered by a list only if it says so: `listed` is a field of these forms alone.
    """
    members = {"operation": request.operation, **request.fields()}
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
    return write_form(fields, [("image", image) for image in images])
