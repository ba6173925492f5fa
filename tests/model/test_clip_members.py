"""Another architecture goes into model/clip alone: nobody else names what only transformers' two models have."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MODEL = Path(__file__).resolve().parents[2] / "model"

MEMBERS = {
    *("get_image_features", "get_text_features", "vision_model", "text_model", "visual_projection", "text_projection"),
    *("vision_config", "text_config", "patch_embedding", "position_embedding", "token_embedding", "projection_dim"),
    "logit_bias",
}
OWN_LOGIT_SCALE = {"clip", "_clip", "base", "processing"}
"""Our Processing's is a float, already exponentiated; CLIPModel's is a parameter."""

EXCEPTIONS = {"clip": "the one place", "training/scratch.py": "builds a small CLIP, and no other architecture"}


def names_of_clip(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("transformers"):
            yield from (alias.name for alias in node.names if alias.name.startswith(("CLIP", "Siglip")))
        if isinstance(node, ast.keyword) and node.arg in MEMBERS:
            yield node.arg
        if isinstance(node, ast.Attribute):
            owner = node.value
            owners_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if node.attr in MEMBERS or (node.attr == "logit_scale" and owners_name not in OWN_LOGIT_SCALE):
                yield node.attr


@pytest.mark.parametrize("source", sorted(MODEL.rglob("*.py")), ids=lambda path: path.relative_to(MODEL).as_posix())
def test_clips_members_are_named_in_model_clip_alone(source: Path) -> None:
    path = source.relative_to(MODEL)
    if path.parts[0] not in EXCEPTIONS and path.as_posix() not in EXCEPTIONS:
        assert list(names_of_clip(source.read_text())) == []


def test_every_way_to_name_one_is_found() -> None:
    found = names_of_clip(
        "from transformers import AutoTokenizer, CLIPModel, SiglipModel\n"
        "model.vision_model.embeddings\n"
        "self.model.logit_scale.exp() * clip.logit_scale * self._clip.logit_scale\n"
        "Config(text_config={})\n"
    )
    assert sorted(found) == ["CLIPModel", "SiglipModel", "logit_scale", "text_config", "vision_model"]
