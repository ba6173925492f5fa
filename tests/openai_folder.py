"""A CLIP as OpenAI's on the hub are, openai/clip-vit-base-patch32 and its kin, with what is peculiar to them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import CLIPModel, CLIPTokenizer

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
GENERATION = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False, "is_decoder": False, "prefix": None}
"""Some of what older configurations say that no CLIP asks for."""


def save_openai_folder(directory: Path, model: CLIPModel, tokenizer: CLIPTokenizer, *, pickled: bool = True) -> None:
    """Weights with positions beside them, as a pickle unless said otherwise; a text's end is the token 2, which it is
    not; a processor that is called a feature extractor, with sizes as numbers; a tokenizer in its slow form alone.
    """
    directory.mkdir()
    config = model.config.to_dict()
    text, vision = config["text_config"], config["vision_config"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    positions = {
        "text_model.embeddings.position_ids": torch.arange(text["max_position_embeddings"]).unsqueeze(0),
        "vision_model.embeddings.position_ids": torch.arange(patches + 1).unsqueeze(0),
    }
    weights = {**model.state_dict(), **positions}
    if pickled:
        torch.save(weights, directory / "pytorch_model.bin")
    else:
        save_file(weights, directory / "model.safetensors", {"format": "pt"})
    said: dict[str, dict[str, Any]] = {
        "config.json": {
            "architectures": ["CLIPModel"],
            "initializer_factor": 1.0,
            "logit_scale_init_value": 2.6592,
            "model_type": "clip",
            "projection_dim": config["projection_dim"],
            "text_config": {**text, **GENERATION, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1},
            "text_config_dict": None,
            "torch_dtype": "float32",
            "transformers_version": None,
            "vision_config": {**vision, **GENERATION},
            "vision_config_dict": None,
        },
        "preprocessor_config.json": {
            "crop_size": vision["image_size"],
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": MEAN,
            "image_std": STD,
            "resample": 3,
            "size": vision["image_size"],
        },
        "tokenizer_config.json": {
            "unk_token": _token("<|endoftext|>"),
            "bos_token": _token("<|startoftext|>"),
            "eos_token": _token("<|endoftext|>"),
            "pad_token": "<|endoftext|>",
            "add_prefix_space": False,
            "errors": "replace",
            "do_lower_case": True,
            "name_or_path": "./clip_ViT_B_32/",
            "model_max_length": text["max_position_embeddings"],
            "special_tokens_map_file": "./special_tokens_map.json",
            "tokenizer_class": "CLIPTokenizer",
        },
        "special_tokens_map.json": {
            "bos_token": _token("<|startoftext|>"),
            "eos_token": _token("<|endoftext|>"),
            "unk_token": _token("<|endoftext|>"),
            "pad_token": "<|endoftext|>",
        },
        "vocab.json": dict(tokenizer.get_vocab()),
    }
    for name, content in said.items():
        (directory / name).write_text(json.dumps(content))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    (directory / "README.md").write_text("---\ntags:\n- vision\n---\n# Model Card: CLIP\n")


def _token(content: str) -> dict[str, Any]:
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
