import hashlib
import io

import pytest
from PIL import Image, ImageDraw

from contract.answers import ImageFacts
from contract.perceptual_hash import near_duplicate_groups
from contract.problems import UnprocessableImage
from model.clip.image import EXIF_ORIENTATION
from model.clip.preparation import Preparation
from model.serving import inspection
from tests.model.serving.decoder_processes import PREPARATION


def inspect(data: bytes) -> ImageFacts:
    return inspection.inspect(data, PREPARATION)[0]


def drawing(size: tuple[int, int] = (64, 48)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((size[0] // 4, 4, size[0] // 2, size[1] // 2), fill="red")
    return image


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("format, media_type", [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_an_image_is_known_by_its_bytes_and_its_pixels(format: str, media_type: str) -> None:
    data = saved(drawing(), format)
    seen = inspect(data)
    assert seen["sha256"] == hashlib.sha256(data).hexdigest()
    assert (seen["size_bytes"], seen["media_type"]) == (len(data), media_type)
    assert (seen["width"], seen["height"]) == (64, 48)


def test_a_phones_photo_in_several_pictures_is_a_jpeg() -> None:
    assert inspect(saved(drawing(), "MPO", save_all=True, append_images=[drawing()]))["media_type"] == "image/jpeg"


def test_the_size_is_that_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    seen = inspect(saved(drawing(), "JPEG", exif=exif))
    assert (seen["width"], seen["height"]) == (48, 64)


def test_the_same_picture_saved_again_looks_the_same_and_another_does_not() -> None:
    other = Image.new("RGB", (64, 48), "blue")
    images = [saved(drawing(), "PNG"), saved(drawing(), "JPEG", quality=70), saved(other, "PNG")]
    assert list(near_duplicate_groups([inspect(image)["perceptual_hash"] for image in images])) == [[0, 1], [2]]


def test_a_file_that_is_cut_off_is_found_out_although_its_header_is_good() -> None:
    with pytest.raises(UnprocessableImage, match="damaged or cut off"):
        inspect(saved(drawing((600, 400)), "JPEG")[:-200])


def turned() -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return saved(drawing((400, 300)), "JPEG", exif=exif)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        saved(drawing(), "PNG"),
        saved(drawing((191, 300)), "JPEG"),
        saved(drawing((192, 300)), "JPEG"),
        saved(drawing((1000, 800)), "JPEG"),
        saved(drawing((1000, 800)), "PNG"),
        saved(drawing((400, 300)), "MPO", save_all=True, append_images=[drawing()]),
        turned(),
    ],
    ids=["small", "a JPEG just not shrunk", "just shrunk", "a large JPEG", "a large PNG", "several pictures", "turned"],
)
def test_the_model_sees_the_same_pixels_as_when_it_is_asked(data: bytes, whole: bool) -> None:
    """Also where it is asked by fewer than all of them."""
    preparation = Preparation(None if whole else PREPARATION.short_side, PREPARATION.by_torch, None)
    facts, pixels = inspection.inspect(data, preparation)
    assert (pixels == preparation.resize(preparation.open(data)[0])).all()
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_a_very_large_image_of_any_kind_is_seen_as_when_it_is_asked() -> None:
    data = saved(drawing((4100, 3950)), "PNG", compress_level=1)
    _, pixels = inspection.inspect(data, PREPARATION)
    opened, shrunk_by = PREPARATION.open(data)
    assert shrunk_by > 1 and (pixels == PREPARATION.resize(opened)).all()
