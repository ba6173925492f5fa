"""open_clip's checkpoints, as transformers' CLIPModel would have them: configuration, preparation of images, names of
tensors.

    open_clip_config.json  open_clip_model.safetensors  tokenizer files

What its members mean: https://github.com/mlfoundations/open_clip, src/open_clip/model.py and transform.py. It imports
nothing of ours: the image's layer of weights is made by it, and outlives a change of any other module.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
OPEN_CLIP_PICKLE = "open_clip_pytorch_model.bin"

TRANSPOSED = ("text_projection", "visual.proj")
"""Matrices that are multiplied from the other side: their rows are CLIPModel's columns."""
WITHOUT_MEANING = ("attn_mask", "context_length", "input_resolution", "vocab_size")
"""What older files keep beside the weights."""

_MOST = 1_000_000
"""Of anything; what of it can be served is CLIPModel's to say."""

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_RESAMPLE = {"bilinear": 2, "bicubic": 3, "random": 3}
"""By Pillow's numbers; `random` is for training, and bicubic elsewhere."""

_PLAIN: dict[str, dict[str, tuple[Any, ...]]] = {
    "model_cfg": {
        "custom_text": (False,),
        "multimodal_cfg": (),
        "init_logit_bias": (),
        "nonscalar_logit_scale": (False,),
    },
    "vision_cfg": {
        "timm_model_name": ("",),
        "attentional_pool": (False,),
        "pool_type": ("tok",),
        "pos_embed_type": ("learnable",),
        "no_ln_pre": (False,),
        "ls_init_value": (),
        "act_kwargs": ({},),
        "norm_kwargs": ({},),
        "global_average_pool": (False,),
        "input_patchnorm": (False,),
    },
    "text_cfg": {
        "hf_model_name": ("",),
        "pool_type": ("argmax",),
        "embed_cls": (False,),
        "no_causal_mask": (False,),
        "proj_type": ("linear",),
        "proj_bias": (False,),
        "ls_init_value": (),
        "act_kwargs": ({},),
        "norm_kwargs": ({},),
        "tokenizer_mode": (),
        "tokenizer_kwargs": ({},),
    },
}
"""What each of these may say, beside null, in a plain CLIP."""
_BLOCKS = ("block_type", "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")
for _tower in ("vision_cfg", "text_cfg"):
    _PLAIN[_tower] |= dict.fromkeys(_BLOCKS, (False, "default"))

_READ = {
    "model_cfg": ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu"),
    "vision_cfg": ("layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size"),
    "text_cfg": ("layers", "width", "heads", "mlp_ratio", "context_length", "vocab_size"),
}
_PASSED_OVER = {
    "model_cfg": ("init_logit_scale", "cast_dtype", "output_dict"),
    "vision_cfg": ("patch_dropout", "output_tokens", "final_ln_after_pool"),
    "text_cfg": ("hf_tokenizer_name", "pad_id", "eos_id", "output_tokens", "final_ln_after_pool"),
}
"""What changes no answer of a plain CLIP: it is for training, or for another kind of model."""
_FAMILIES = ("timm_", "hf_", "attn_pooler_")
"""Members that begin so go with one that is refused."""


def is_open_clip(files: Collection[str], config: Mapping[str, Any] | None, weights: Collection[str]) -> bool:
    """Whether a folder with these files is to be read as open_clip's. `config`: its config.json, which may be timm's
    and name no model_type. `weights`: what CLIPModel's may be called, and timm's are called, too.
    """
    is_clip = config is not None and "model_type" in config and any(name in files for name in weights)
    return OPEN_CLIP_CONFIG in files and not is_clip


def clip_config(said: Mapping[str, Any]) -> dict[str, Any]:
    """CLIPModel's `config.json`, from what `open_clip_config.json` says. Raises ValueError that names a member by which
    it is no plain CLIP: a ViT and a text transformer, read at the class token and at the highest token.
    """
    model = _object(said.get("model_cfg", said), "model_cfg")
    vision = _object(model.get("vision_cfg"), "vision_cfg")
    text = _object(model.get("text_cfg"), "text_cfg")
    for name, members in (("model_cfg", model), ("vision_cfg", vision), ("text_cfg", text)):
        _check_plain(name, members)
    activation = "quick_gelu" if _switch(model, "quick_gelu") else "gelu"
    width, head_width = _whole(vision, "vision_cfg.width", 768), _whole(vision, "vision_cfg.head_width", 64)
    if width % head_width:
        raise ValueError(f"vision_cfg.head_width is {head_width}, which does not divide the width of {width}")
    embed_dim, text_width = _whole(model, "model_cfg.embed_dim", None), _whole(text, "text_cfg.width", 512)
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": embed_dim,
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_act": activation,
            "hidden_size": width,
            "intermediate_size": _inner(vision, "vision_cfg", width),
            "num_attention_heads": width // head_width,
            "num_hidden_layers": _whole(vision, "vision_cfg.layers", 12),
            "image_size": _side(vision, "image_size", 224),
            "patch_size": _side(vision, "patch_size", 16),
            "projection_dim": embed_dim,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_act": activation,
            "hidden_size": text_width,
            "intermediate_size": _inner(text, "text_cfg", text_width),
            "num_attention_heads": _whole(text, "text_cfg.heads", 8),
            "num_hidden_layers": _whole(text, "text_cfg.layers", 12),
            "max_position_embeddings": _whole(text, "text_cfg.context_length", 77),
            "vocab_size": _whole(text, "text_cfg.vocab_size", 49_408),
            "eos_token_id": 2,  # by which transformers reads a text at its highest token, as open_clip does
            "projection_dim": embed_dim,
        },
    }


def preprocessor_config(said: Mapping[str, Any]) -> dict[str, Any]:
    """`preprocessor_config.json`, from what `open_clip_config.json` says. Raises ValueError that names a member which
    CLIP's image processor can't do.
    """
    model = _object(said.get("model_cfg", said), "model_cfg")
    side = _side(_object(model.get("vision_cfg"), "vision_cfg"), "image_size", 224)
    given = said.get("preprocess_cfg")
    found = {} if given is None else _object(given, "preprocess_cfg")
    how = {name: value for name, value in found.items() if value is not None}
    mode, interpolation = how.get("resize_mode", "shortest"), how.get("interpolation", "bicubic")
    if mode not in ("shortest", "squash"):
        raise ValueError(f'preprocess_cfg.resize_mode is {_shown(mode)}, allowed are "shortest" and "squash"')
    if interpolation not in list(_RESAMPLE):  # which asks for no hash of what is given
        raise ValueError(f"preprocess_cfg.interpolation is {_shown(interpolation)}, allowed are {', '.join(_RESAMPLE)}")
    if how.get("mode", "RGB") != "RGB":
        raise ValueError(f'preprocess_cfg.mode is {_shown(how["mode"])}, allowed is "RGB"')
    both = {"height": side, "width": side}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side} if mode == "shortest" else both,
        "resample": _RESAMPLE[interpolation],
        "do_center_crop": mode == "shortest",
        "crop_size": both,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": _channels(how.get("mean") or _MEAN),
        "image_std": _channels(how.get("std") or _STD),
    }


def clip_tensors(vision_layers: int, text_layers: int) -> dict[str, tuple[str, ...]]:
    """Every tensor of open_clip's, and CLIPModel's that lie in it: where there are several, its rows are theirs, one
    after the other.
    """
    names: dict[str, tuple[str, ...]] = {
        "logit_scale": ("logit_scale",),
        "text_projection": ("text_projection.weight",),
        "token_embedding.weight": ("text_model.embeddings.token_embedding.weight",),
        "positional_embedding": ("text_model.embeddings.position_embedding.weight",),
        **_pairs("ln_final", "text_model.final_layer_norm"),
        "visual.proj": ("visual_projection.weight",),
        "visual.conv1.weight": ("vision_model.embeddings.patch_embedding.weight",),
        "visual.class_embedding": ("vision_model.embeddings.class_embedding",),
        "visual.positional_embedding": ("vision_model.embeddings.position_embedding.weight",),
        **_pairs("visual.ln_pre", "vision_model.pre_layrnorm"),
        **_pairs("visual.ln_post", "vision_model.post_layernorm"),
    }
    for theirs, ours, layers in (("visual.", "vision_model", vision_layers), ("", "text_model", text_layers)):
        for layer in range(layers):
            block, made = f"{theirs}transformer.resblocks.{layer}", f"{ours}.encoder.layers.{layer}"
            for kind in ("weight", "bias"):
                names[f"{block}.attn.in_proj_{kind}"] = tuple(f"{made}.self_attn.{each}_proj.{kind}" for each in "qkv")
            names |= _pairs(f"{block}.attn.out_proj", f"{made}.self_attn.out_proj")
            names |= _pairs(f"{block}.ln_1", f"{made}.layer_norm1") | _pairs(f"{block}.ln_2", f"{made}.layer_norm2")
            names |= _pairs(f"{block}.mlp.c_fc", f"{made}.mlp.fc1") | _pairs(f"{block}.mlp.c_proj", f"{made}.mlp.fc2")
    return names


def check_names(found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Raises ValueError unless these are the tensors of a plain CLIP in open_clip's names."""
    if missing := sorted(wanted.keys() - found.keys()):
        raise ValueError(f"the weights lack {len(missing)} tensors of an open_clip model, such as {missing[0]}")
    if others := sorted(found.keys() - wanted.keys() - set(WITHOUT_MEANING)):
        raise ValueError(f"the weights hold {len(others)} tensors that a plain CLIP has not, such as {others[0]}")


def _pairs(theirs: str, ours: str) -> dict[str, tuple[str, ...]]:
    return {f"{theirs}.{kind}": (f"{ours}.{kind}",) for kind in ("weight", "bias")}


def _check_plain(where: str, members: Mapping[str, Any]) -> None:
    known = {*_READ[where], *_PASSED_OVER[where]}
    for name, value in members.items():
        if value is None or name in known:
            continue
        allowed = _PLAIN[where].get(name)
        if allowed is None and name.startswith(_FAMILIES):
            continue
        if allowed is None or not any(value == each and type(value) is type(each) for each in allowed):
            instead = " or ".join([*(_shown(each) for each in allowed or () if each not in ("", {})), "null"])
            raise ValueError(
                f"{where}.{name} is {_shown(value)}, and of open_clip's models those are converted which are a plain "
                f"ViT with a plain text transformer: there it is {instead}, or absent"
            )


def _object(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {_shown(found)}, and should be an object")
    return found


def _switch(members: Mapping[str, Any], name: str) -> bool:
    found = members.get(name)
    if found is not None and not isinstance(found, bool):
        raise ValueError(f"model_cfg.{name} is {_shown(found)}, allowed are true and false")
    return bool(found)


def _whole(members: Mapping[str, Any], path: str, default: int | None) -> int:
    """A whole number: the last name of `path`."""
    found = members.get(path.split(".")[-1])
    found = default if found is None else found
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= _MOST:
        raise ValueError(f"{path} is {_shown(found)}, and should be a whole number from 1 to {_MOST:,}")
    return found


def _side(members: Mapping[str, Any], name: str, default: int) -> int:
    """The side of a square in pixels, given once or twice."""
    found = members.get(name)
    if isinstance(found, list) and len(found) == 2 and found[0] == found[1]:
        found = found[0]
    return _whole({name: found}, f"vision_cfg.{name}", default)


def _inner(members: Mapping[str, Any], where: str, width: int) -> int:
    """The width within a block's MLP; a ratio such as 4.9231 is cut as open_clip cuts it."""
    found = members.get("mlp_ratio")
    ratio = 4.0 if found is None else found
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 64:
        raise ValueError(f"{where}.mlp_ratio is {_shown(ratio)}, and should be a number up to 64")
    return int(width * ratio)


def _channels(found: Any) -> list[Any]:
    """One for red, green and blue, or one for all."""
    return list(found) if isinstance(found, list | tuple) else [found] * 3


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
