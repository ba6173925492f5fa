import base64
import io

import pytest
import torch
from PIL import Image

from contract.problems import UnprocessableImage
from model.clip.image import EXIF_ORIENTATION
from model.serving.thumbnail import jpeg_text, thumbnail
from tests.model.serving.test_inspection import drawing, saved


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("size", "shrunk"), [((1000, 800), (64, 51)), ((800, 1000), (51, 64)), ((40, 20), (40, 20)), ((900, 10), (64, 1))]
)
def test_the_longer_side_is_as_long_as_asked_and_nothing_is_enlarged(
    size: tuple[int, int], shrunk: tuple[int, int], format: str
) -> None:
    assert thumbnail(saved(drawing(size), format), 64).shape == (shrunk[1], shrunk[0], 3)


def test_it_is_upright_and_looks_like_the_image() -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    pixels = thumbnail(saved(drawing((400, 200)), "JPEG", exif=exif), 64)
    assert pixels.shape == (64, 32, 3)
    red = Image.new("RGB", (300, 300), "red")
    assert thumbnail(saved(red, "PNG"), 64)[30, 30].tolist() == [255, 0, 0]


def test_what_is_no_image_has_none() -> None:
    with pytest.raises(UnprocessableImage):
        thumbnail(b"no image", 64)


def test_it_is_handed_out_as_a_jpeg() -> None:
    pixels = torch.tensor(thumbnail(saved(drawing((300, 200)), "PNG"), 64))
    opened = Image.open(io.BytesIO(base64.b64decode(jpeg_text(pixels))))
    assert (opened.format, opened.size) == ("JPEG", (64, 43))
