"""What a SigLIP's config.json says is what transformers makes of it."""

from typing import Any

import pytest
from transformers import SiglipModel

from contract.problems import BadRequest
from contract.siglip_config import SiglipConfig, SiglipProcessor
from contract.validation import validate
from tests.model.siglips import gemma_tokenizer, tiny_siglip

SIGLIP_2_B_16: dict[str, Any] = {
    "architectures": ["SiglipModel"],
    "initializer_factor": 1.0,
    "model_type": "siglip",
    "text_config": {"model_type": "siglip_text_model", "vocab_size": 256000},
    "vision_config": {"model_type": "siglip_vision_model"},
}


def shapes(model: SiglipModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in model.state_dict().items()}


def test_the_tensors_of_a_model_are_those_that_transformers_makes() -> None:
    model = tiny_siglip(gemma_tokenizer())
    assert validate(SiglipConfig, model.config.to_dict()).tensors() == shapes(model)


def test_what_it_hands_to_transformers_makes_the_same_model() -> None:
    model = tiny_siglip(gemma_tokenizer())
    config = validate(SiglipConfig, model.config.to_dict())
    assert shapes(SiglipModel(model.config.__class__(**config.members()))) == shapes(model)


def test_without_a_word_it_is_googles_base() -> None:
    found = validate(SiglipConfig, SIGLIP_2_B_16).tensors()
    assert len(found) == 408
    assert found["text_model.embeddings.token_embedding.weight"] == (256000, 768)
    assert found["vision_model.embeddings.position_embedding.weight"] == (196, 768)
    assert found["vision_model.head.attention.in_proj_weight"] == (2304, 768)
    nulls = validate(SiglipConfig, {"model_type": "siglip", "text_config": None})
    assert nulls.tensors()["text_model.head.weight"] == (768, 768)


@pytest.mark.parametrize(
    ("tower", "change", "said"),
    [
        ("text_config", {"projection_size": 512}, "512 wide .projection_size., and an image's 768: not one space"),
        ("vision_config", {"hidden_size": 1024, "num_attention_heads": 16}, "and an image's 1024"),
        ("vision_config", {"vision_use_head": False}, "vision_use_head"),
        ("vision_config", {"image_size": [224, 224]}, "image_size"),
        ("vision_config", {"patch_size": 256}, "larger than the image"),
        ("text_config", {"max_position_embeddings": 10**9}, "max_position_embeddings"),
        ("text_config", {"num_attention_heads": 7}, "7 attention heads can't share a width of 768"),
    ],
)
def test_what_makes_no_siglip_is_refused(tower: str, change: dict[str, Any], said: str) -> None:
    config = {**SIGLIP_2_B_16, tower: SIGLIP_2_B_16[tower] | change}
    with pytest.raises(BadRequest, match=said):
        validate(SiglipConfig, config)


def test_images_become_squares_without_a_crop() -> None:
    validate(SiglipProcessor, {}).check_fits(224)
    validate(SiglipProcessor, {"size": {"height": 256, "width": 256}, "resample": 2}).check_fits(256)
    with pytest.raises(BadRequest, match="224 x 224 pixels, and the model reads 256 x 256"):
        validate(SiglipProcessor, {}).check_fits(256)
    with pytest.raises(BadRequest, match="no size that is the same for all"):
        validate(SiglipProcessor, {"size": 224}).check_fits(224)
    with pytest.raises(BadRequest, match="'ViTImageProcessor', allowed is 'SiglipImageProcessor'"):
        validate(SiglipProcessor, {"image_processor_type": "ViTImageProcessor"})
