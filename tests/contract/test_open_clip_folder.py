"""open_clip's folders, looked at as strictly as CLIPModel's."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from contract.checkpoints import Checked, check_checkpoint
from contract.problems import BadRequest
from contract.weights import Tensor

SHIPPED = Path(__file__).parents[2] / "model/shipped"
CONFIG = {
    "model_cfg": {
        "embed_dim": 4,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 8, "head_width": 4, "patch_size": 4},
        "text_cfg": {"context_length": 16, "vocab_size": 804, "width": 8, "heads": 2, "layers": 1},
    }
}
BLOCK = {
    "ln_1.weight": [8],
    "ln_1.bias": [8],
    "attn.in_proj_weight": [24, 8],
    "attn.in_proj_bias": [24],
    "attn.out_proj.weight": [8, 8],
    "attn.out_proj.bias": [8],
    "ln_2.weight": [8],
    "ln_2.bias": [8],
    "mlp.c_fc.weight": [32, 8],
    "mlp.c_fc.bias": [32],
    "mlp.c_proj.weight": [8, 32],
    "mlp.c_proj.bias": [8],
}
SHAPES: dict[str, list[int]] = {
    "logit_scale": [],
    "positional_embedding": [16, 8],
    "text_projection": [8, 4],
    "token_embedding.weight": [804, 8],
    **{
        f"{name}.{kind}": [8] for name in ("ln_final", "visual.ln_pre", "visual.ln_post") for kind in ("weight", "bias")
    },
    "visual.class_embedding": [8],
    "visual.conv1.weight": [8, 3, 4, 4],
    "visual.positional_embedding": [5, 8],
    "visual.proj": [8, 4],
    **{f"{tower}transformer.resblocks.0.{name}": shape for tower in ("", "visual.") for name, shape in BLOCK.items()},
}


def weights(shapes: dict[str, list[int]], dtype: str = "F32", scale: float = 3.0) -> bytes:
    """A safetensors file of zeros, but for the scale of the logits, which comes first."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        first, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + struct.pack("<f", scale) + bytes(end - 4)


class Folder:
    """Files in memory, with the shipped checkpoint's tokenizer among them."""

    def __init__(self, **others: bytes | None) -> None:
        self.files: dict[str, bytes] = {
            "open_clip_config.json": json.dumps(CONFIG).encode(),
            "open_clip_model.safetensors": weights(SHAPES),
            "tokenizer.json": (SHIPPED / "tokenizer.json").read_bytes(),
        }
        for name, content in others.items():
            self.files.pop(name, None)
            if content is not None:
                self.files[name] = content

    def sizes_bytes(self) -> dict[str, int]:
        return {name: len(content) for name, content in self.files.items()}

    def read(self, name: str, *, first: int = 0, size_bytes: int = 2**23) -> bytes | None:
        return self.files[name][first : first + size_bytes] if name in self.files else None


def checked(**others: bytes | None) -> Checked:
    return check_checkpoint(Folder(**others), "here/")


def said(**changes: Any) -> bytes:
    """The configuration with other members of a tower, as `vision_cfg__width`."""
    config = json.loads(json.dumps(CONFIG))
    for path, value in changes.items():
        tower, member = path.split("__")
        config["model_cfg"][tower][member] = value
    return json.dumps(config).encode()


def test_a_folder_of_open_clips_is_one_that_could_be_served() -> None:
    found = checked()
    assert found.config.projection_dim == 4
    assert found.open_clip is not None and found.open_clip.layers == (1, 1)
    assert found.tensors.keys() == found.config.tensors().keys()
    assert all(found.tensors[name].shape == shape for name, shape in found.config.tensors().items())


def test_query_key_and_value_are_thirds_of_one_tensors_bytes() -> None:
    found = checked().tensors
    parts = [found[f"text_model.encoder.layers.0.self_attn.{each}_proj.weight"] for each in "qkv"]
    assert [part.end - part.first for part in parts] == [8 * 8 * 4] * 3
    assert parts[0].end == parts[1].first and parts[1].end == parts[2].first
    assert isinstance(parts[0], Tensor) and parts[0].file == "open_clip_model.safetensors"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"open_clip_model.safetensors": None}, "here/ lacks weights: open_clip_model.safetensors is needed"),
        ({"tokenizer.json": None}, "https://huggingface.co/openai/clip-vit-base-patch32 beside open_clip_config.json"),
        ({"open_clip_config.json": b"{"}, "open_clip_config.json can't be read as JSON"),
        ({"open_clip_config.json": b"{}"}, "open_clip_config.json: vision_cfg is null"),
        ({"open_clip_config.json": said(vision_cfg__pool_type="avg")}, 'vision_cfg.pool_type is "avg"'),
        (
            {"open_clip_config.json": said(vision_cfg__layers=10**5)},
            "read as CLIPModel's: vision_config.num_hidden_layers",
        ),
        (
            {"open_clip_config.json": said(vision_cfg__layers=2)},
            "lack 12 tensors of an open_clip model, such as visual",
        ),
        (
            {"open_clip_config.json": said(text_cfg__context_length=77)},
            "positional_embedding has the shape [16, 8], and",
        ),
        ({"open_clip_config.json": said(vision_cfg__image_size=12)}, "asks for [10, 8]"),
        ({"open_clip_config.json": said(text_cfg__vocab_size=900)}, "token_embedding.weight has the shape [804, 8]"),
        ({"open_clip_config.json": said(text_cfg__vocab_size=700)}, "the text tower has 700 rows"),
        (
            {"open_clip_model.safetensors": weights({**SHAPES, "text_projection": [4, 8]})},
            "text_projection has the shape",
        ),
        (
            {"open_clip_model.safetensors": weights({**SHAPES, "logit_bias": []})},
            "that a plain CLIP has not, such as logit",
        ),
        ({"open_clip_model.safetensors": weights(SHAPES, scale=60.0)}, "logit_scale is 60"),
        ({"open_clip_model.safetensors": weights(SHAPES, "I32")}, "of the type I32"),
        ({"open_clip_model.safetensors": b"\x80\x04\x95 a pickle by another name"}, "is no safetensors file"),
        ({"wordsight.json": b"{}"}, "wordsight.json: version: is missing"),
    ],
)
def test_what_could_not_be_served_is_refused_with_the_reason(changes: dict[str, bytes | None], sentence: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked(**changes)
    assert sentence in refused.value.detail


def test_a_tokenizer_that_lies_elsewhere_is_named() -> None:
    with pytest.raises(
        BadRequest, match=r"copy tokenizer\.json, or vocab\.json and merges\.txt, from .*/somebody/words "
    ):
        checked(**{"tokenizer.json": None, "open_clip_config.json": said(text_cfg__hf_tokenizer_name="somebody/words")})


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "epoch_32.pt"])
def test_a_pickle_is_refused_with_what_makes_safetensors_of_it(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked(**{"open_clip_model.safetensors": None, name: b"\x80"})
    assert f"{name} is a pickle, which can run code" in refused.value.detail
    assert "python -m model.clip.fetch FOLDER NEW-FOLDER" in refused.value.detail
