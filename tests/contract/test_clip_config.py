"""What config.json says is what transformers makes of it."""

import json
from pathlib import Path

import pytest

from contract.clip_config import ClipConfig, Processor
from contract.problems import BadRequest
from contract.validation import validate
from contract.weights import tensors_of

SHIPPED = Path(__file__).parents[2] / "model/shipped"


def test_the_tensors_of_a_model_are_those_that_transformers_saved() -> None:
    config = validate(ClipConfig, json.loads((SHIPPED / "config.json").read_text()))
    content = (SHIPPED / "model.safetensors").read_bytes()
    saved = tensors_of({"w": len(content)}, "w", "", lambda _, first, size: content[first : first + size])
    assert config.tensors() == {name: tensor.shape for name, tensor in saved.items()}


def test_without_a_word_it_is_openais_smallest() -> None:
    config = validate(ClipConfig, {"model_type": "clip", "text_config": None, "vision_config_dict": None})
    shapes = config.tensors()
    assert len(shapes) == 398
    assert shapes["text_model.embeddings.token_embedding.weight"] == (49408, 512)
    assert shapes["vision_model.embeddings.position_embedding.weight"] == (50, 768)
    assert shapes["visual_projection.weight"] == (512, 768)


@pytest.mark.parametrize(
    "said",
    [
        {"size": 224, "crop_size": 224},
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}},
        {"size": {"height": 224, "width": 224}, "do_center_crop": False},
        {},
    ],
)
def test_what_makes_every_image_as_large_as_the_model_reads_fits(said: dict[str, object]) -> None:
    processor = validate(Processor, said)
    processor.check_fits(224)
    with pytest.raises(BadRequest, match="224 x 224 pixels, and the model reads 336 x 336"):
        processor.check_fits(336)


@pytest.mark.parametrize(
    "said",
    [
        {"do_center_crop": False},
        {"do_center_crop": False, "do_resize": False, "size": {"height": 224, "width": 224}},
        {"crop_size": {"shortest_edge": 224}},
    ],
)
def test_what_leaves_images_of_several_sizes_does_not(said: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="no size that is the same for all"):
        validate(Processor, said).check_fits(224)
