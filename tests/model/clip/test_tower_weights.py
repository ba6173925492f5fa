"""The towers' weights keep their meaning: computed by hand from them, a layer is transformers' own."""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import layer_norm, linear

from model.clip.checkpoint import load_checkpoint
from model.clip.folder import check_folder, read_weights
from model.clip.tower_weights import HIGHEST, LAST, Linear, Norm, image_background, image_tower_of, text_tower_of
from tests.model.conftest import tiny_model, tiny_tokenizer


def product(part: Linear, x: torch.Tensor) -> torch.Tensor:
    return linear(x, torch.from_numpy(part.weight), None if part.bias is None else torch.from_numpy(part.bias))


def normed(part: Norm, x: torch.Tensor) -> torch.Tensor:
    return layer_norm(x, x.shape[-1:], torch.from_numpy(part.weight), torch.from_numpy(part.bias), part.epsilon)


@torch.inference_mode()
def test_a_patch_and_a_layers_feed_forward_part_are_the_models(checkpoint_dir: Path) -> None:
    checked = check_folder(checkpoint_dir)
    weights = read_weights(checkpoint_dir, checked)
    image, text = image_tower_of(checked.config, weights), text_tower_of(checked.config, weights)
    model = load_checkpoint(checkpoint_dir).model
    side = image.side
    pixels = torch.randn(1, 3, side, side)
    expected = model.vision_model.embeddings.patch_embedding(pixels).flatten()
    assert torch.allclose(product(image.patches, pixels.reshape(1, -1))[0], expected, atol=1e-6)
    layer, theirs = text.layers[1], model.text_model.encoder.layers[1]
    x = torch.randn(2, 5, text.tokens.shape[1])
    up = product(layer.feed_forward.up, normed(layer.feed_forward_norm, x))
    found = product(layer.feed_forward.down, up * torch.sigmoid(1.702 * up))
    assert layer.feed_forward.activation == "quick_gelu"
    assert torch.allclose(found, theirs.mlp(theirs.layer_norm2(x)), atol=1e-6)


def test_where_a_text_is_read_is_the_architectures(checkpoint_dir: Path, siglip_dir: Path) -> None:
    for directory, end, causal in ((checkpoint_dir, None, True), (siglip_dir, LAST, False)):
        checked = check_folder(directory)
        text = text_tower_of(checked.config, read_weights(directory, checked))
        assert text.causal == causal
        assert text.end_token == (end or checked.config.text_config.eos_token_id)  # type: ignore[union-attr]


def test_openais_own_end_of_text_is_its_highest_token(checkpoint_dir: Path) -> None:
    checked = check_folder(checkpoint_dir)
    older = checked.config.model_copy(
        update={"text_config": checked.config.text_config.model_copy(update={"eos_token_id": 2})}
    )
    assert text_tower_of(older, read_weights(checkpoint_dir, checked)).end_token == HIGHEST


def test_half_the_bits_on_disk_are_all_of_them_in_memory(checkpoint_dir: Path) -> None:
    checked = check_folder(checkpoint_dir)
    halves = {name: weight.half() for name, weight in read_weights(checkpoint_dir, checked).items()}
    assert image_tower_of(checked.config, halves).positions.dtype == np.float32


def test_images_differ_anyway_as_the_projection_widens_what_comes_before_it(siglip_dir: Path) -> None:
    model = tiny_model(tiny_tokenizer())
    widths = torch.linspace(0.5, 2.0, model.visual_projection.in_features)
    with torch.no_grad():
        model.vision_model.post_layernorm.weight.copy_(widths)
        seen = torch.cov(model.visual_projection(torch.randn(100_000, len(widths)) * widths).T)
    told = image_background(model.state_dict())
    assert told is not None and torch.allclose(told, seen, atol=0.03 * float(told.diagonal().max()))
    assert image_background(load_checkpoint(siglip_dir).model.state_dict()) is None
