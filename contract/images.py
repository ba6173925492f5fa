"""Annotated images as they are handed out: by an address, or shrunk to a thumbnail, which the container makes."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from contract.problems import BadRequest, shorten
from contract.teaching import Sha256
from contract.validation import Stored

IMAGE_EXPIRES_IN_S = 900
THUMBNAILS_PREFIX = "thumbnails/"
"""Where in the data bucket they are, as JPEG: a folder for each size, and in it each under the sha256 of its image."""
THUMBNAIL_SIZES_PX = (64, 256, 512)
"""Of the longer side. Few, for each that is asked for is kept."""


class AnnotatedImage(Stored):
    """Where the image of an annotation can be had."""

    image: Sha256 = Field(description="sha256 of the image's file")
    url: str = Field(description="Its address, without other credentials")
    expires_in_s: int = Field(description="Seconds until the address is no longer good")


class Thumbnail(Stored):
    """The image of an annotation, shrunk."""

    image: Sha256 = Field(description="sha256 of the image's file")
    size: int = Field(description="Pixels that its longer side has at most: nothing is enlarged")
    thumbnail: str = Field(description="A JPEG as base64")


ImageAnswer = Annotated[
    AnnotatedImage | Thumbnail,
    Field(title="ImageAnswer", description="Where the image can be had; with `size` the image itself, shrunk"),
]
"""The answer of GET /images/{image}."""


@dataclass(frozen=True)
class ThumbnailRequest:
    """What the API asks of the container: shrink these images. No route asks it. Raises BadRequest for another size."""

    operation: ClassVar[str] = "thumbnail"
    listed: ClassVar[bool] = True
    images: list[Any]
    size_px: int

    def __post_init__(self) -> None:
        thumbnail_size(str(self.size_px))

    def fields(self) -> dict[str, Any]:
        """Everything but the images, as form fields holding JSON."""
        return {"size": str(self.size_px)}


def thumbnail_size(text: str) -> int:
    """The size that a caller asks for, in pixels. Raises BadRequest for one in which none is made."""
    sizes = {str(size): size for size in THUMBNAIL_SIZES_PX}
    if text not in sizes:
        raise BadRequest(f"size is {shorten(text)!r}, allowed are {', '.join(sizes)}: pixels of the longer side")
    return sizes[text]


def thumbnail_key(image: str, size_px: int) -> str:
    """Where in the data bucket an image's thumbnail is."""
    return f"{THUMBNAILS_PREFIX}{size_px}/{image}"
