"""open_clip's configuration in CLIPModel's words, and what of it is no plain CLIP."""

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract import open_clip
from contract.clip_config import ClipConfig, Processor
from contract.open_clip import check_names, clip_config, clip_tensors, is_open_clip, preprocessor_config
from contract.validation import validate

B32 = {
    "model_cfg": {
        "embed_dim": 512,
        "vision_cfg": {"image_size": 256, "layers": 12, "width": 768, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
}
"""As DataComp's ViT-B/32-256 on the hub."""


def changed(path: str, value: object) -> dict[str, Any]:
    """B32 with another member, as `vision_cfg.width`, or one more."""
    said: dict[str, Any] = json.loads(json.dumps(B32))
    where, name = path.split(".")
    place = said if where == "preprocess_cfg" else said["model_cfg"]
    (place if where == "model_cfg" else place[where])[name] = value
    return said


def config_of(said: Mapping[str, Any]) -> ClipConfig:
    return validate(ClipConfig, clip_config(said))


def test_a_vit_b_32_is_transformers_vit_b_32() -> None:
    config = config_of(B32)
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (256, 32)
    assert (config.vision_config.num_attention_heads, config.vision_config.intermediate_size) == (12, 3072)
    assert (config.text_config.num_attention_heads, config.text_config.intermediate_size) == (8, 2048)
    assert (config.text_config.max_position_embeddings, config.text_config.vocab_size) == (77, 49408)
    assert config.projection_dim == 512
    assert config.text_config.eos_token_id == 2, "transformers' sign for: at the highest token"


def test_absent_members_have_open_clips_defaults() -> None:
    config = config_of({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}})
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (224, 16)
    assert (config.vision_config.hidden_size, config.vision_config.num_hidden_layers) == (768, 12)
    assert (config.text_config.hidden_size, config.text_config.num_hidden_layers) == (512, 12)
    assert config_of({"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}) == config, "model_cfg may be left out"


@pytest.mark.parametrize(("said", "activation"), [({}, "gelu"), (False, "gelu"), (None, "gelu"), (True, "quick_gelu")])
def test_gelu_is_quick_only_if_it_says_so(said: object, activation: str) -> None:
    config = config_of(B32 if said == {} else changed("model_cfg.quick_gelu", said))
    assert config.vision_config.hidden_act == config.text_config.hidden_act == activation


def test_a_bigg_has_the_width_that_its_ratio_says() -> None:
    said = changed("vision_cfg.mlp_ratio", 4.9231)
    said["model_cfg"]["vision_cfg"] |= {"width": 1664, "head_width": 104, "layers": 48, "patch_size": 14}
    tower = config_of(said).vision_config
    assert (tower.intermediate_size, tower.num_attention_heads, tower.num_hidden_layers) == (8192, 16, 48)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("vision_cfg." + name, None) for name in ("timm_model_name", "ls_init_value", "norm_kwargs")),
        ("vision_cfg.image_size", [256, 256]),
        ("vision_cfg.patch_dropout", 0.5),
        ("vision_cfg.pool_type", "tok"),
        ("vision_cfg.attn_pooler_heads", 8),
        ("vision_cfg.timm_pool", "avg"),
        ("vision_cfg.qk_norm", False),
        ("text_cfg.hf_tokenizer_name", "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"),
        ("text_cfg.pool_type", "argmax"),
        ("text_cfg.eos_id", 49407),
        ("text_cfg.tokenizer_kwargs", {}),
        ("model_cfg.custom_text", False),
        ("model_cfg.init_logit_scale", 2.6592),
    ],
)
def test_what_makes_no_difference_is_taken(path: str, value: object) -> None:
    assert config_of(changed(path, value)) == config_of(B32)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_cfg.custom_text", True),
        ("model_cfg.multimodal_cfg", {"layers": 12}),
        ("model_cfg.init_logit_bias", -10),
        ("model_cfg.nonscalar_logit_scale", True),
        ("model_cfg.of_next_year", 1),
        ("vision_cfg.timm_model_name", "vit_base_patch16_siglip_224"),
        ("vision_cfg.attentional_pool", "parallel"),
        ("vision_cfg.pool_type", "avg"),
        ("vision_cfg.pos_embed_type", "sin_cos_2d"),
        ("vision_cfg.no_ln_pre", True),
        ("vision_cfg.ls_init_value", 1e-5),
        ("vision_cfg.norm_kwargs", {"eps": 1e-6}),
        ("vision_cfg.act_kwargs", {"approximate": "tanh"}),
        ("vision_cfg.qk_norm", True),
        ("vision_cfg.block_type", "custom"),
        ("vision_cfg.layers", [3, 4, 6, 3]),
        ("vision_cfg.layers", 0),
        ("vision_cfg.width", "768"),
        ("vision_cfg.width", True),
        ("vision_cfg.width", 10**400),
        ("vision_cfg.head_width", 65),
        ("vision_cfg.image_size", [224, 448]),
        ("vision_cfg.patch_size", [16, 32]),
        ("vision_cfg.mlp_ratio", 1e300),
        ("text_cfg.hf_model_name", "xlm-roberta-base"),
        ("text_cfg.pool_type", "last"),
        ("text_cfg.pool_type", "eos"),
        ("text_cfg.embed_cls", True),
        ("text_cfg.no_causal_mask", True),
        ("text_cfg.proj_bias", True),
        ("text_cfg.proj_type", "none"),
        ("text_cfg.tokenizer_kwargs", {"clean": "canonicalize"}),
        ("text_cfg.scale_fc", True),
        ("model_cfg.vision_cfg", None),
        ("model_cfg.text_cfg", [1]),
        ("model_cfg.embed_dim", None),
        ("model_cfg.quick_gelu", "yes"),
    ],
)
def test_what_is_no_plain_clip_is_refused_by_its_name(path: str, value: object) -> None:
    with pytest.raises(ValueError) as refused:
        clip_config(changed(path, value))
    assert path.removeprefix("model_cfg.") in str(refused.value)
    assert len(str(refused.value)) < 400


def test_images_are_prepared_as_open_clip_does() -> None:
    made = validate(Processor, preprocessor_config(B32))
    assert (made.size.shortest_edge, made.crop_size.height, made.do_center_crop) == (256, 256, True)
    assert (made.resample, made.image_mean[0], made.image_std[2]) == (3, 0.48145466, 0.27577711)
    how = {"resize_mode": "squash", "interpolation": "bilinear", "mean": [0.5] * 3, "std": 0.25, "size": 512}
    squashed = validate(Processor, preprocessor_config({**B32, "preprocess_cfg": how}))
    assert (squashed.size.height, squashed.size.width, squashed.do_center_crop) == (256, 256, False)
    assert (squashed.resample, squashed.image_mean, squashed.image_std) == (2, (0.5,) * 3, (0.25,) * 3)
    squashed.check_fits(256)


@pytest.mark.parametrize("given", [{}, {"preprocess_cfg": None}, {"preprocess_cfg": {"mean": None, "std": None}}])
def test_without_its_own_numbers_images_are_prepared_by_openais(given: dict[str, Any]) -> None:
    assert preprocessor_config({"model_cfg": B32["model_cfg"], **given}) == preprocessor_config(B32)


@pytest.mark.parametrize(
    ("member", "value"),
    [("resize_mode", "longest"), ("interpolation", "lanczos"), ("mode", "L"), ("interpolation", [3])],
)
def test_what_clips_image_processor_can_not_do_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"preprocess_cfg\.{member} is "):
        preprocessor_config(changed(f"preprocess_cfg.{member}", value))


def test_every_tensor_of_clips_lies_in_one_of_open_clips() -> None:
    config = config_of(B32)
    places = clip_tensors(config.vision_config.num_hidden_layers, config.text_config.num_hidden_layers)
    names = [name for each in places.values() for name in each]
    assert sorted(names) == sorted(config.tensors())
    check_names(places, places)


@pytest.mark.parametrize(
    ("files", "config", "expected"),
    [
        ({"open_clip_config.json", "open_clip_model.safetensors"}, None, True),
        ({"open_clip_config.json", "open_clip_model.safetensors", "model.safetensors"}, {"architecture": "vit"}, True),
        ({"open_clip_config.json", "open_clip_model.safetensors"}, {"model_type": "clip"}, True),
        ({"open_clip_config.json", "model.safetensors"}, {"model_type": "clip"}, False),
        ({"model.safetensors"}, {"model_type": "clip"}, False),
        ({"open_clip_model.safetensors"}, None, False),
    ],
)
def test_a_folder_is_read_as_open_clips_unless_it_holds_a_clip_model(
    files: set[str], config: dict[str, str] | None, expected: bool
) -> None:
    assert is_open_clip(files, config, ("model.safetensors",)) is expected


def test_it_stands_alone() -> None:
    tree = ast.parse(Path(open_clip.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {str(module).split(".")[0] for module in imported} <= sys.stdlib_module_names
