"""What OpenVINO computes in fewer bits."""

from pathlib import Path

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from tests.model.serving.towers.built import cpu_towers
from tests.model.serving.towers.images import noise


def test_in_bf16_vectors_point_where_they_did(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    pixels = noise(clip, 8)
    embed = cpu_towers(checkpoint_dir, "bf16").workers[0]
    assert (embed(pixels) * clip.embed_images(pixels)).sum(dim=-1).min() > 0.999
