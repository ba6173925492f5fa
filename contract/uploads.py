"""POST /uploads: permissions to send images straight to the data bucket, for images too large for the API."""

from typing import Annotated, ClassVar, TypedDict

from pydantic import AfterValidator, Field

from contract.limits import MAX_IMAGES
from contract.problems import shorten
from contract.validation import Strict

UPLOAD_EXPIRES_IN_S = 900
"""How long a permission lasts. What was sent with it stays for a day."""
JSON_LINES = "application/jsonl"
"""What an import of annotations reads, the one kind of upload that is no image."""


def _is_image_or_lines(media_type: str) -> str:
    is_image = media_type.isascii() and media_type.startswith("image/") and media_type[6:].strip()
    if not is_image and media_type != JSON_LINES:
        raise ValueError(
            f"content_type is an image's, such as image/jpeg, or {JSON_LINES}, got {shorten(media_type)!r}"
        )
    return media_type


class UploadsBody(Strict):
    """The body of POST /uploads."""

    count: int = Field(default=1, ge=1, le=MAX_IMAGES, description="How many images will be sent")
    content_type: Annotated[str, AfterValidator(_is_image_or_lines)] | None = Field(
        default=None, max_length=100, description="What the images are; without it any image/* goes"
    )

    EXAMPLES: ClassVar = {"two": {"count": 2}}


class Upload(TypedDict):
    """A form to POST to `url`: `fields` first, then the image, as `file`. From then on `s3_key` names it."""

    url: str
    fields: dict[str, str]
    s3_key: str
    max_bytes: int
    expires_in_s: int


class Uploads(TypedDict):
    """The answer of POST /uploads."""

    uploads: list[Upload]
