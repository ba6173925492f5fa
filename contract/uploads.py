"""POST /uploads and POST /models/uploads: permissions to send files straight to a bucket, too large for the API."""

import re
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


CHECKPOINT_SUFFIXES = (".json", ".jsonl", ".txt", ".model", ".safetensors", ".md")
"""Of the files that make a checkpoint. None of them is read by running code that is in it."""
MAX_CHECKPOINT_FILES = 100
MAX_CHECKPOINT_FILE_BYTES = 5_000_000_000
"""S3 takes no more at once."""
CHECKPOINT_UPLOAD_EXPIRES_IN_S = 3600
"""How long a permission lasts: the last file of a checkpoint begins when the others have been sent."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def is_checkpoint_file(name: str) -> bool:
    """Whether a file of this name may be sent."""
    return bool(_FILE_NAME.fullmatch(name)) and name.endswith(CHECKPOINT_SUFFIXES)


def _checked_file(name: str) -> str:
    if not is_checkpoint_file(name):
        allowed = ", ".join(CHECKPOINT_SUFFIXES)
        pickled = ": pickled weights may run code, save them as safetensors" if name.endswith((".bin", ".pt")) else ""
        raise ValueError(
            f"a checkpoint's file is {shorten(name)!r}, allowed are names without folders that end with "
            f"{allowed}{pickled}"
        )
    return name


class CheckpointUploadsBody(Strict):
    """The body of POST /models/uploads: the names of a checkpoint's files."""

    files: list[Annotated[str, AfterValidator(_checked_file)]] = Field(
        min_length=1, max_length=MAX_CHECKPOINT_FILES, description="As they are called in its folder"
    )

    EXAMPLES: ClassVar = {
        "checkpoint": {"files": ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]}
    }


class CheckpointUpload(TypedDict):
    """A form to POST to `url`: `fields` first, then the file, as `file`."""

    name: str
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_in_s: int


class CheckpointUploads(TypedDict):
    """The answer of POST /models/uploads. Once the files are sent, POST /models makes a version of `s3_uri`."""

    s3_uri: str
    uploads: list[CheckpointUpload]
