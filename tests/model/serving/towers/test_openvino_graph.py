"""The graphs compute what transformers' modules do, for every activation, odd sizes of images, and hidden padding."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from contract.checkpoints import CheckpointMetadata
from contract.clip_config import ACTIVATIONS as ALLOWED
from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.clip.encode import Clip
from model.serving.towers.openvino_graph import ACTIVATIONS
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.serving.towers.built import cpu_towers
from tests.model.serving.towers.images import noise

TEXTS = ["a cat", "a dog on a red sofa", "x " * 60, ""]


def saved(directory: Path, **tower: object) -> Path:
    """A tiny CLIP whose towers differ from the usual one's in this."""
    tokenizer = tiny_tokenizer()
    members = tiny_model(tokenizer).config.to_dict()
    vision = members["vision_config"] | tower
    text = members["text_config"] | {name: value for name, value in tower.items() if name == "hidden_act"}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=members["projection_dim"]))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3)
    side = vision["image_size"]
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    save_checkpoint(directory, model.eval(), tokenizer, processor, CheckpointMetadata(version="tiny-odd"))
    return directory


def assert_alike(directory: Path) -> None:
    clip, towers = Clip(load_checkpoint(directory)), cpu_towers(directory)
    pixels = noise(clip, 3)
    assert torch.allclose(towers.workers[0](pixels), clip.embed_images(pixels), atol=1e-5)
    ours, theirs = (torch.stack([text.vector for text in made.embed_texts(TEXTS)]) for made in (towers, clip))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert (theirs[0] - theirs[1]).abs().max() > 1e-2  # or any two would be alike


def test_every_activation_that_a_configuration_may_name_is_known() -> None:
    assert ACTIVATIONS.keys() == {*get_args(ALLOWED)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_is_transformers(activation: str, tmp_path: Path) -> None:
    assert_alike(saved(tmp_path, hidden_act=activation))


def test_what_is_left_over_beside_the_last_patch_is_cut_off(tmp_path: Path) -> None:
    assert_alike(saved(tmp_path, image_size=37))


def test_padding_before_a_text_is_not_seen(checkpoint_dir: Path, tmp_path: Path) -> None:
    """Which no CLIP of OpenAI's has; it is transformers that reads texts then, and gives the tower a mask."""
    directory = tmp_path / "left"
    shutil.copytree(checkpoint_dir, directory)
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left", "pad_token": "!"}))
    assert_alike(directory)


@pytest.mark.parametrize("end", ["the tokenizer's", "OpenAI's"])
def test_a_text_is_read_at_its_end(end: str, checkpoint_dir: Path, tmp_path: Path) -> None:
    directory = tmp_path / "end"
    shutil.copytree(checkpoint_dir, directory)
    if end == "OpenAI's":
        path = directory / "config.json"
        said = json.loads(path.read_text())
        path.write_text(json.dumps(said | {"text_config": said["text_config"] | {"eos_token_id": 2}}))
    assert_alike(directory)
