"""`open_pixels`, and `open_image`: the one way an image's bytes become pixels, in serving and in training alike.

Formats are an allow-list, the header is checked before anything is decoded, and whatever Pillow makes of a hostile file
ends as a sentence for the caller. The result is what a person sees: upright, the first frame, 8 bits of RGB. What is
transparent lies on white, exactly as in Hugging Face's image processors, so that scores equal theirs.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features

from contract.limits import MAX_IMAGE_ASPECT_RATIO, MAX_IMAGE_PIXELS
from contract.problems import PayloadTooLarge, UnprocessableImage, UnsupportedMediaType
from model.clip.depth import is_deep, to_8_bits
from model.clip.jpeg_end import completed
from model.clip.lookahead import check_cost, declared_size

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""Pillow's names of what is opened."""
JPEGS = ("JPEG", "MPO")
"""What JPEG opens: phones' files often hold several pictures, of which the first counts."""

Pixels = NDArray[np.uint8]
"""[height, width, 3], RGB"""

EXIF_ORIENTATION = 0x0112
UPRIGHT: Mapping[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""EXIF 2.32, tag Orientation: what undoes each way a camera may have been held."""

STRIP_PX = 256
"""Pillow hands out many rows at once in three copies. A multiple of all that an image is shrunk by."""
WHOLE_PIXELS = 16_000_000
"""An image of more is shrunk before it is handed out, if its short side may be: it would be in memory twice."""

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
"""Major brands of ISO media files (ISO/IEC 23008-12): how a phone's photo says what it is."""

PILLOW_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on broken files: it promises no single type."""

DRAFT_OVERSIZE = 3
"""How many times the wanted side a JPEG keeps when it is shrunk while it is decoded. Of the small checkpoint's scores
on enlarged scenes none then moves by more than .016; with 2 some move by .036. A 12-megapixel photo costs the same.
"""


def open_image(data: bytes, short_side: int | None = None) -> Image.Image:
    """`open_pixels` as an image."""
    return Image.fromarray(open_pixels(data, short_side)[0])


def open_pixels(data: bytes, short_side: int | None = None) -> tuple[Pixels, int]:
    """Decode an image file to upright 8-bit RGB, [height, width, 3].

    Who will shrink it to a `short_side` of so many pixels may say so: of a much larger JPEG a half, a quarter or an
    eighth of the pixels per side are then decoded, never fewer than DRAFT_OVERSIZE times that side, and of other files
    with more than WHOLE_PIXELS as many are kept. By how much it was shrunk, 1, 2, 4 or 8, is the second result. What is
    refused stays the same.

    Raises UnsupportedMediaType for HEIC (and AVIF where this Pillow lacks it), PayloadTooLarge for too many pixels and
    UnprocessableImage for everything else that can't be decoded.
    """
    file = _open(data)
    _check_size(file.size)
    full_width = file.width
    if short_side is not None:
        file.draft(None, (DRAFT_OVERSIZE * short_side, DRAFT_OVERSIZE * short_side))
    shrunk_by = round(full_width / file.width)
    if (pixels := _jpeg_pixels(file, data)) is None:
        reduce_by = _reduction(file.size, short_side)
        pixels = _other_pixels(file, data, reduce_by)
        shrunk_by *= reduce_by
    turn = _upright(file)
    del file  # with its own pixels
    return pixels if turn is None else np.ascontiguousarray(turn(pixels)), shrunk_by


def _jpeg_pixels(file: ImageFile.ImageFile, data: bytes) -> Pixels | None:
    """What Pillow would decode, to the last bit, as both ask libjpeg-turbo. None: Pillow is to try, though it costs the
    time of another decoding, and to say what is wrong if it can't.
    """
    if file.format not in JPEGS or file.mode not in ("RGB", "L"):
        return None
    # a buffer of the size that was checked: a file whose header tells libjpeg another one does not get more
    buffer = np.empty((file.height, file.width, 3), dtype=np.uint8)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, min_height=file.height, min_width=file.width, buffer=buffer)
    except ValueError:
        return None
    return pixels if pixels.shape == buffer.shape else None


def _reduction(size: tuple[int, int], short_side: int | None) -> int:
    """By how much the sides of a very large image are shrunk, as a JPEG's would be: it is in memory only once then."""
    if short_side is None or size[0] * size[1] <= WHOLE_PIXELS:
        return 1
    scale = min(size) // (DRAFT_OVERSIZE * short_side)
    return next((by for by in (8, 4, 2) if by <= scale), 1)


def _other_pixels(file: ImageFile.ImageFile, data: bytes, reduce_by: int) -> Pixels:
    try:
        _load(file, data)
    except PILLOW_FAULTS as error:
        raise UnprocessableImage(
            f"the {file.format} file is damaged or cut off ({_reason(error)}): send it again"
        ) from None
    # the range of deep pixels is that of the whole image; all others are each seen by itself
    image = _to_rgb(file) if file.mode[0] in "IF" else file
    pixels = np.empty((-(-image.height // reduce_by), -(-image.width // reduce_by), 3), dtype=np.uint8)
    for top in range(0, image.height, STRIP_PX):
        strip = _to_rgb(image.crop((0, top, image.width, min(top + STRIP_PX, image.height))))
        rows = slice(top // reduce_by, -(-(top + strip.height) // reduce_by))
        pixels[rows] = np.asarray(strip.reduce(reduce_by) if reduce_by > 1 else strip)
    return pixels


def _load(file: ImageFile.ImageFile, data: bytes) -> None:
    try:
        file.load()
    except PILLOW_FAULTS:
        whole = completed(data) if file.format in JPEGS else None
        if whole is None:
            raise
        file.fp = io.BytesIO(whole)
        file.load()


def media_type_of(data: bytes) -> str:
    """What an image file is, such as image/jpeg, by its header. Raises what `open_image` raises."""
    kind = _open(data).format
    return Image.MIME["JPEG" if kind in JPEGS else str(kind)]


def _open(data: bytes) -> ImageFile.ImageFile:
    if (size := declared_size(data)) is not None:
        _check_pixels(size)  # before Pillow, which makes room for some formats as soon as it opens them
    check_cost(data)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:  # Pillow's own limit, on the header; it does not tell the size
        raise _too_many_pixels(f"more than {Image.MAX_IMAGE_PIXELS:,}") from None
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except PILLOW_FAULTS as error:
        raise UnprocessableImage(f"the image's header can't be read ({_reason(error)}): send it again") from None


def _unidentified(data: bytes) -> UnsupportedMediaType | UnprocessableImage:
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in HEIF_BRANDS or (brand in AVIF_BRANDS and not features.check("avif")):
        name = "HEIC" if brand in HEIF_BRANDS else "AVIF"
        return UnsupportedMediaType(
            f"{name} images can't be read here: convert it to JPEG, for example `magick photo.{name.lower()} photo.jpg`"
        )
    return UnprocessableImage(
        f"{len(data):,} bytes that start with {data[:12]!r} are not an image of a known kind: {', '.join(FORMATS)}"
    )


def _check_pixels(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_IMAGE_PIXELS:
        raise _too_many_pixels(f"{width} x {height} = {width * height:,}")


def _check_size(size: tuple[int, int]) -> None:
    _check_pixels(size)
    width, height = size
    if max(size) > MAX_IMAGE_ASPECT_RATIO * min(size):
        raise UnprocessableImage(
            f"the image is {width} x {height} pixels, a side may be at most {MAX_IMAGE_ASPECT_RATIO} times the other: "
            "crop it"
        )


def _too_many_pixels(found: str) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the image has {found} pixels, at most {MAX_IMAGE_PIXELS:,} are allowed: "
        "shrink it to 1024 px on the longer side"
    )


def _upright(image: Image.Image) -> Callable[[Pixels], Pixels] | None:
    """How it is to be turned. Of some formats this is known only when it is loaded, and then may be done."""
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except PILLOW_FAULTS:  # broken metadata is no reason to refuse good pixels
        return None
    return UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def _to_rgb(image: Image.Image) -> Image.Image:
    try:
        if is_deep(image):
            image = to_8_bits(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except PILLOW_FAULTS as error:
        raise UnprocessableImage(f"pixels of kind {image.mode!r} can't be shown as RGB ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
