"""Images as people send them come out upright, in RGB and 8 bits; what can't is refused with a sentence."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile
from transformers.image_transforms import convert_to_rgb

from contract.limits import MAX_IMAGE_ASPECT_RATIO, MAX_IMAGE_PIXELS
from contract.problems import PayloadTooLarge, ProblemError, UnprocessableImage, UnsupportedMediaType
from model.clip.image import EXIF_ORIENTATION, FORMATS, open_image, open_pixels

WIDTH_PX, HEIGHT_PX = 24, 16


pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
"""Pillow warns about odd metadata; here that is the point."""


def picture(mode: str = "RGB") -> Image.Image:
    """Four different corners, so that any turn or flip shows."""
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX))
    for corner, color in (((0, 0), "red"), ((12, 0), "lime"), ((0, 8), "blue"), ((12, 8), "yellow")):
        image.paste(color, (*corner, corner[0] + 12, corner[1] + 8))
    return image.convert(mode)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def difference(image: Image.Image, other: Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    return int(np.abs(np.asarray(image, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.mark.parametrize("format", FORMATS)
def test_every_allowed_format_opens_as_rgb(format: str) -> None:
    image = open_image(encoded(picture(), format))
    assert (image.mode, image.size) == ("RGB", (WIDTH_PX, HEIGHT_PX))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_comes_out_as_a_person_sees_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    upright = picture()
    as_stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.rotate(180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.rotate(90, expand=True),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.rotate(270, expand=True),
    }[orientation]
    for format in ("PNG", "WEBP"):
        opened = open_image(encoded(as_stored, format, exif=exif, **({"lossless": True} if format == "WEBP" else {})))
        assert difference(opened, upright) == 0


def test_broken_exif_does_not_cost_the_image() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\xff\xff\xff\xff\xff\xff\xff\xff"
    assert open_image(encoded(picture(), "JPEG", exif=exif)).size == (WIDTH_PX, HEIGHT_PX)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_what_is_transparent_lies_on_white_as_in_the_models_own_processor(mode: str) -> None:
    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image = image.convert(mode)
    opened = open_image(encoded(image, "TIFF" if mode == "PA" else "PNG"))
    assert difference(opened, Image.fromarray(convert_to_rgb(image, return_numpy=True))) == 0


def test_a_transparent_palette_colour_is_white() -> None:
    image = picture().quantize(4)
    opened = open_image(encoded(image, "PNG", transparency=image.getpixel((0, 0))))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((WIDTH_PX - 1, 0)) == (0, 255, 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_colour_models_become_rgb(mode: str) -> None:
    image = picture(mode)
    assert difference(open_image(encoded(image, "TIFF")), image.convert("RGB")) == 0


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red, *_ = open_image(encoded(picture("CMYK"), "JPEG", quality=95)).getpixel((3, 3))
    assert red > 200


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_to_8_bits_and_not_clipped(format: str) -> None:
    grey = np.linspace(0, 0xFFFF, WIDTH_PX * HEIGHT_PX).reshape(HEIGHT_PX, WIDTH_PX).astype(np.uint16)
    opened = np.asarray(open_image(encoded(Image.fromarray(grey), format)))
    assert np.array_equal(opened[..., 0], grey >> 8)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    opened = open_image(encoded(frames[0], format, save_all=True, append_images=frames[1:]))
    assert difference(opened, frames[0]) <= 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP"])
def test_a_file_that_was_cut_off_is_refused(format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, format)
    with pytest.raises(UnprocessableImage):
        open_image(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"hello, this is text",
        b'{"inputs": "no"}',
        b"<html><body>404</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(40),
        b"\x7fELF" + bytes(60),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(20),
        b"8BPS\0\x01" + bytes(40),
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM" + bytes(20),
        b"II*\0" + bytes(10),
        b"\0\0\0\x18ftypisom" + bytes(20),
        bytes(100),
    ],
)
def test_what_is_not_an_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnprocessableImage):
        open_image(data)


def test_the_refusal_says_what_was_sent_and_what_is_allowed() -> None:
    with pytest.raises(UnprocessableImage, match=r"19 bytes that start with b'hello, this .*JPEG, PNG"):
        open_image(b"hello, this is text")


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_a_phones_heic_is_refused_with_the_way_to_convert_it(brand: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"HEIC .* convert it to JPEG"):
        open_image(b"\0\0\0\x18ftyp" + brand + bytes(64))


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(PayloadTooLarge, match=rf"8000 x 8000 = 64,000,000 pixels, at most {MAX_IMAGE_PIXELS:,}"):
        open_image(encoded(Image.new("1", (8000, 8000)), "PNG"))


def test_a_png_of_200_million_pixels_is_refused_before_anything_is_decoded() -> None:
    png = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    png[16:24] = struct.pack(">II", 20_000, 10_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    with pytest.raises(PayloadTooLarge, match=f"at most {MAX_IMAGE_PIXELS:,} are allowed: shrink it"):
        open_image(bytes(png))


def test_a_frame_larger_than_its_screen_does_not_pass_the_limit() -> None:
    gif = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    frame = gif.index(b",")
    gif[frame + 5 : frame + 9] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(PayloadTooLarge, match=f"at most {MAX_IMAGE_PIXELS:,}"):
        open_image(bytes(gif))


def test_a_strip_that_would_be_scaled_to_gigabytes_is_refused() -> None:
    with pytest.raises(UnprocessableImage, match=f"at most {MAX_IMAGE_ASPECT_RATIO} times"):
        open_image(encoded(Image.new("L", (1, 5000)), "PNG"))
    assert open_image(encoded(Image.new("L", (1, 100)), "PNG")).size == (1, 100)


@pytest.mark.parametrize("format", FORMATS)
def test_damage_anywhere_ends_in_an_image_or_a_sentence(format: str) -> None:
    random = np.random.default_rng(7)
    data = encoded(picture(), format)
    for _ in range(150):
        damaged = bytearray(data)
        for position in random.integers(0, len(data), random.integers(1, 6)):
            damaged[position] = random.integers(0, 256)
        try:
            assert open_image(bytes(damaged)).mode == "RGB"
        except ProblemError as problem:
            assert problem.detail


def photo(width_px: int, height_px: int, **options: Any) -> bytes:
    """A JPEG with detail at every scale, bright on the left."""
    noise = np.random.default_rng(0).integers(0, 80, (height_px, width_px, 3))
    ramp = np.linspace(160, 0, width_px)[None, :, None]
    return encoded(Image.fromarray((noise + ramp).astype(np.uint8)), "JPEG", quality=90, **options)


@pytest.mark.parametrize(
    ("short_side", "size"), [(None, (640, 480)), (81, (640, 480)), (80, (320, 240)), (32, (160, 120)), (1, (80, 60))]
)
def test_a_jpeg_to_be_shrunk_is_decoded_small_but_never_below_three_times_the_side(
    short_side: int | None, size: tuple[int, int]
) -> None:
    assert open_image(photo(640, 480), short_side).size == size


@pytest.mark.parametrize(
    "options",
    [
        {}, {"subsampling": "4:4:4"}, {"subsampling": "4:2:2"}, {"progressive": True}, {"keep_rgb": True},
        {"format": "MPO", "save_all": True}, {"mode": "L"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("short_side", [None, 60])
def test_a_jpegs_pixels_are_the_very_ones_that_pillow_would_decode(
    options: dict[str, Any], short_side: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"format": "JPEG", "mode": "RGB", "quality": 90, **options}
    data = encoded(Image.open(io.BytesIO(photo(641, 479))).convert(told.pop("mode")), **told)
    shrunk_by = 1 if short_side is None else 2
    expected = by_pillow(data, shrunk_by)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # it is not asked to
    pixels, found = open_pixels(data, short_side)
    assert found == shrunk_by
    assert np.array_equal(pixels, expected)


def by_pillow(data: bytes, shrunk_by: int = 1) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data))
    image.draft(None, (image.width // shrunk_by, image.height // shrunk_by))
    return np.asarray(image.convert("RGB"))


def test_a_tall_image_is_whole() -> None:
    stripes = Image.linear_gradient("L").resize((8, 700)).convert("RGB")
    assert difference(open_image(encoded(stripes, "PNG")), stripes) == 0


def test_a_jpeg_with_a_flaw_that_pillow_forgives_is_opened() -> None:
    data = bytearray(photo(640, 480))
    data[len(data) // 2 : len(data) // 2 + 8] = bytes(8)
    assert np.array_equal(open_pixels(bytes(data))[0], by_pillow(bytes(data)))


def test_decoding_small_changes_colours_by_a_few_steps_at_most() -> None:
    exact, small = (open_image(photo(640, 480), side).resize((80, 60), Image.Resampling.BICUBIC) for side in (None, 60))
    assert 0 < difference(exact, small) <= 4


def test_a_photo_decoded_small_is_upright_too() -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    opened = open_image(photo(640, 480, exif=exif), 60)
    assert opened.size == (240, 320)
    assert np.asarray(opened)[:40].mean() > 2 * np.asarray(opened)[-40:].mean()


def test_what_is_refused_is_refused_when_decoded_small() -> None:
    with pytest.raises(PayloadTooLarge, match=r"8000 x 8000 = 64,000,000 pixels"):
        open_image(encoded(Image.new("L", (8000, 8000)), "JPEG"), 64)
    with pytest.raises(UnprocessableImage, match="damaged or cut off"):
        open_image(photo(640, 480)[:9000], 60)


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "JPEG"])
def test_other_formats_are_decoded_whole(format: str) -> None:
    assert open_image(encoded(picture(), format), 1).size == (WIDTH_PX, HEIGHT_PX)
