"""What decoders get of a checkpoint: enough to prepare images as its processor does, and no transformers."""

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from model.clip.preparation import Preparation, short_side

PROCESSOR = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
BEYOND = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 32, "width": 32})


def png() -> bytes:
    Image.effect_noise((90, 60), 80).convert("RGB").save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("processor", [PROCESSOR, BEYOND], ids=["usual", "cropped beyond its border"])
def test_it_prepares_the_same_after_a_journey_to_another_process(processor: CLIPImageProcessorPil, exact: bool) -> None:
    here = Preparation.of(processor, lambda: processor, exact=exact)
    there = pickle.loads(pickle.dumps(here))  # noqa: S301 - our own
    data = png()
    pixels = here.resize(here.open(data)[0])
    assert pixels.shape == (3, 32, 32)
    assert np.array_equal(pixels, there.resize(there.open(data)[0]))


def test_the_processor_travels_only_where_torch_can_not_do_its_work() -> None:
    assert Preparation.of(PROCESSOR, pytest.fail).processor is None
    assert Preparation.of(PROCESSOR, lambda: PROCESSOR, exact=True).processor is PROCESSOR
    assert Preparation.of(BEYOND, lambda: BEYOND).processor is BEYOND


def test_exactly_means_opened_whole() -> None:
    assert Preparation.of(PROCESSOR, pytest.fail).short_side == short_side(PROCESSOR) == 32
    assert Preparation.of(PROCESSOR, lambda: PROCESSOR, exact=True).short_side is None


@pytest.mark.slow
def test_a_process_that_only_prepares_does_not_load_transformers() -> None:
    program = "import sys, model.serving.decode; print('transformers' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"
