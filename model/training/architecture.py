"""A CLIP small enough to learn from scratch on one CPU core: 2.4 million parameters, 5 MB in half precision."""

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from model.world.drawing import IMAGE_SIZE

CONTEXT_LENGTH = 48
PROJECTION = 128
POSITION_STD = 0.5
"""CLIP's 0.02 is 4 % of what a patch of 768 normalised values contributes: where things are would drown for long."""
INITIAL_SCALE = 2.6592  # ln(1 / 0.07), as in CLIP


def small_clip(tokenizer: CLIPTokenizer, seed: int) -> CLIPModel:
    """Random weights: vision 192 wide, 4 layers, 16 px patches of a 64 px image; text 128 wide, 2 layers."""
    tokens = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=512, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=CONTEXT_LENGTH, projection_dim=PROJECTION, **tokens,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=192, intermediate_size=768, num_hidden_layers=4, num_attention_heads=6,
        image_size=IMAGE_SIZE, patch_size=16, projection_dim=PROJECTION,
    )  # fmt: skip
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=PROJECTION,
        logit_scale_init_value=INITIAL_SCALE,
    )  # fmt: skip
    model = CLIPModel(config)
    torch.nn.init.normal_(model.vision_model.embeddings.position_embedding.weight, std=POSITION_STD)
    return model


def small_processor() -> CLIPImageProcessorPil:
    """CLIP's own preprocessing at the small model's image size."""
    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIZE}, crop_size=side)
