"""Whatever runs the towers, they give the vectors of the Clip that they were made from."""

from pathlib import Path

import pytest
import torch

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.towers import Towers
from model.serving.towers.torch import TorchTowers
from tests.model.serving.towers.built import cpu_towers
from tests.model.serving.towers.images import noise


@pytest.fixture(scope="module")
def clip(checkpoint_dir: Path) -> Clip:
    return Clip(load_checkpoint(checkpoint_dir))


@pytest.fixture(scope="module", params=["openvino", "torch"])
def towers(request: pytest.FixtureRequest, checkpoint_dir: Path) -> Towers:
    if request.param == "torch":
        return TorchTowers(Clip(load_checkpoint(checkpoint_dir)), 2)
    return cpu_towers(checkpoint_dir, workers=2)


@pytest.mark.parametrize("images", [1, 2, 5, 7, 8])
def test_a_batch_of_any_size_gives_the_clips_own_vectors(towers: Towers, clip: Clip, images: int) -> None:
    pixels = noise(clip, images)
    assert torch.allclose(towers.workers[0](pixels), clip.embed_images(pixels), atol=1e-5)


def test_texts_of_any_number_and_length_get_the_clips_own_vectors(towers: Towers, clip: Clip) -> None:
    words = ["cat", "a dog on a red sofa", "x " * 60, "rain"]
    for texts in (words[:1], words, words * 20):
        found, expected = towers.embed_texts(texts), clip.embed_texts(texts)
        assert [each.truncated for each in found] == [each.truncated for each in expected]
        vectors = (torch.stack([each.vector for each in embeddings]) for embeddings in (found, expected))
        assert torch.allclose(*vectors, atol=1e-5)


def test_workers_do_not_write_over_each_others_results(towers: Towers, clip: Clip) -> None:
    one, other = towers.workers
    first = one(noise(clip, 3))
    kept = first.clone()
    other(noise(clip, 4))
    one(noise(clip, 4))
    assert torch.equal(first, kept)
