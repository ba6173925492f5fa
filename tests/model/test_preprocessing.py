"""The two halves of preprocessing give what the processor gives in one."""

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from model.preprocessing import normalized, pixel_values, resized, short_side

PROCESSORS = {
    "a CLIP's own": CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}),
    "resized beyond the crop": CLIPImageProcessorPil(
        size={"shortest_edge": 64}, crop_size={"height": 48, "width": 40}, image_mean=[0.1, 0.5, 0.9]
    ),
    "squeezed": CLIPImageProcessorPil(size={"height": 32, "width": 48}, do_center_crop=False, do_normalize=False),
}


def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = ((70, 50), (48, 48), (1, 1), (300, 20))
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_resized_and_then_normalized_is_bit_equal_to_the_processor(processor: CLIPImageProcessorPil) -> None:
    halves = normalized(processor, np.stack([resized(processor, image) for image in images()]))
    assert np.array_equal(halves.numpy(), pixel_values(processor, images()).numpy())


def test_the_short_side_is_what_images_are_resized_to() -> None:
    assert [short_side(processor) for processor in PROCESSORS.values()] == [48, 64, 32]
