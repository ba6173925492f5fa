"""The two halves of preprocessing give what the processor gives in one, to the last bit or to a 255th."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

from model.clip.preparation import Normalization, short_side
from model.clip.preprocess import normalized, resized

PROCESSORS = {
    "a CLIP's own": CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}),
    "resized beyond the crop": CLIPImageProcessorPil(
        size={"shortest_edge": 64}, crop_size={"height": 48, "width": 40}, image_mean=[0.1, 0.5, 0.9]
    ),
    "squeezed": CLIPImageProcessorPil(size={"height": 32, "width": 48}, do_center_crop=False, do_normalize=False),
}


def images(darkest: int = 0, brightest: int = 255) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = ((70, 50), (48, 48), (1, 1), (300, 20))
    return [Image.fromarray(rng.integers(darkest, brightest + 1, (*size, 3), dtype=np.uint8)) for size in sizes]


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_resized_and_then_normalized_is_bit_equal_to_the_processor(processor: CLIPImageProcessorPil) -> None:
    halves = normalized(processor, np.stack([resized(processor, image, exact=True) for image in images()]))
    assert np.array_equal(halves.numpy(), processor(images=images())["pixel_values"])


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_resized_by_torch_no_value_differs_by_more_than_one(processor: CLIPImageProcessorPil) -> None:
    for image in images(darkest=64, brightest=192):
        fast, exact = resized(processor, image), resized(processor, image, exact=True)
        assert fast.shape == exact.shape
        assert np.abs(fast.astype(int) - exact).max() <= 1


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_an_images_pixels_are_resized_as_the_image_is(processor: CLIPImageProcessorPil, exact: bool) -> None:
    ambiguous = Image.fromarray(np.arange(27, dtype=np.uint8).reshape(3, 3, 3))
    for image in [*images(), ambiguous]:
        assert np.array_equal(resized(processor, np.array(image), exact=exact), resized(processor, image, exact=exact))


@pytest.mark.parametrize(
    "processor",
    [
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 48, "width": 48}),
        CLIPImageProcessorPil(do_resize=False, crop_size={"height": 48, "width": 48}),
        CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, resample=0),
    ],
    ids=["cropped beyond its border", "not resized", "by nearest neighbour"],
)
def test_what_torch_can_not_resize_the_processor_does(processor: CLIPImageProcessorPil) -> None:
    for image in images():
        assert np.array_equal(resized(processor, image), resized(processor, image, exact=True))


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_normalization_by_arithmetic_is_the_processors(processor: CLIPImageProcessorPil) -> None:
    pixels = np.stack([resized(processor, image) for image in images()])
    by_arithmetic = Normalization.of(processor, torch.device("cpu"))(torch.from_numpy(pixels))
    assert torch.allclose(by_arithmetic, normalized(processor, pixels), rtol=1e-6, atol=1e-6)


def test_the_short_side_is_what_images_are_resized_to() -> None:
    assert [short_side(processor) for processor in PROCESSORS.values()] == [48, 64, 32]
