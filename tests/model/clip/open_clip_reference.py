"""Writes open_clip/*.json: what open_clip itself answers with random weights, so that tests need no open_clip.

    python -m venv .bench/open_clip
    .bench/open_clip/bin/pip install torch torchvision open_clip_torch==3.3.0
    .bench/open_clip/bin/python -m tests.model.clip.open_clip_reference

It has a venv of its own, since open_clip needs torchvision, which would replace torch.
"""

import importlib
import json
from typing import Any

import torch

from tests.model.clip.open_clip_folders import LABELS, PICTURES, REFERENCES, noise, picture, tokens, weights_of

TINY = {"width": 32, "layers": 2}
CASES = {
    "quick_gelu-224": {
        "model_cfg": {
            "embed_dim": 16,
            "quick_gelu": True,
            "vision_cfg": {**TINY, "image_size": 224, "patch_size": 32, "head_width": 8},
            "text_cfg": {**TINY, "context_length": 24, "vocab_size": 190, "heads": 4},
        },
        "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
    },
    "gelu-256": {
        "model_cfg": {
            "embed_dim": 24,
            "vision_cfg": {**TINY, "image_size": 256, "patch_size": 32, "head_width": 16},
            "text_cfg": {"width": 16, "layers": 1, "context_length": 24, "vocab_size": 190, "heads": 2},
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"},
    },
    "gelu-224-squash": {
        "model_cfg": {
            "embed_dim": 16,
            "vision_cfg": {"width": 24, "layers": 1, "image_size": 224, "patch_size": 28, "head_width": 8},
            "text_cfg": {**TINY, "context_length": 24, "vocab_size": 190, "heads": 4, "mlp_ratio": 2.2},
        },
        "preprocess_cfg": {"resize_mode": "squash"},
    },
    "quick_gelu-256": {
        "model_cfg": {
            "embed_dim": 16,
            "quick_gelu": True,
            "vision_cfg": {"width": 24, "layers": 2, "image_size": 256, "patch_size": 64, "head_width": 24},
            "text_cfg": {**TINY, "context_length": 24, "vocab_size": 190, "heads": 4},
        },
    },
}


@torch.inference_mode()
def reference(config: dict[str, Any]) -> dict[str, Any]:
    open_clip = importlib.import_module("open_clip")
    model_cfg = config["model_cfg"]
    model = open_clip.model.CLIP(**model_cfg).eval()
    shapes = {name: list(tensor.shape) for name, tensor in sorted(model.state_dict().items())}
    model.load_state_dict(weights_of(shapes), strict=True)
    side = model_cfg["vision_cfg"]["image_size"]
    prepare = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(size=side, **config.get("preprocess_cfg", {})), is_train=False
    )
    images = torch.stack([prepare(picture(*size)) for size in PICTURES])
    texts = torch.tensor([tokens(label, model.context_length) for label in LABELS])
    return {
        "config": config,
        "shapes": shapes,
        "logits_of_pictures": model.get_logits(images, texts)[0].tolist(),
        "logits_of_noise": model.get_logits(noise(side), texts)[0].tolist(),
        "text_features": model.encode_text(texts[:1], normalize=True)[0].tolist(),
        "open_clip": open_clip.__version__,
    }


if __name__ == "__main__":
    for name, config in CASES.items():
        path = REFERENCES / f"{name}.json"
        path.write_text(json.dumps(reference(config)) + "\n")
        print(path, path.stat().st_size, "bytes")
