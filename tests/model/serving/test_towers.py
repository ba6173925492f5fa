"""Every way of running the image tower gives the vectors of the Clip it was made from."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.load import build_towers
from model.serving.towers import Towers
from model.serving.towers.openvino import OpenVinoTowers, PatchProduct
from model.serving.towers.torch import BATCH_SIZES, TorchTowers

ROOT = Path(__file__).parents[3]


def noise(clip: Clip, images: int) -> torch.Tensor:
    shape = clip.blank_pixels(images).shape
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(images))


@pytest.fixture(scope="module")
def clip(checkpoint_dir: Path) -> Clip:
    return Clip(load_checkpoint(checkpoint_dir))


@pytest.fixture(scope="module", params=["openvino", "torch"])
def towers(request: pytest.FixtureRequest, checkpoint_dir: Path) -> Towers:
    clip = Clip(load_checkpoint(checkpoint_dir))
    return OpenVinoTowers(clip, "fp32", 2, 8) if request.param == "openvino" else TorchTowers(clip, 2)


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


@pytest.mark.parametrize("bias", [True, False])
def test_patches_are_what_the_convolution_makes_of_them_and_the_rest_is_cut_off(bias: bool) -> None:
    convolution = nn.Conv2d(3, 5, kernel_size=4, stride=4, bias=bias)
    pixels = torch.randn(2, 3, 13, 18)
    assert torch.allclose(PatchProduct(convolution)(pixels), convolution(pixels), atol=1e-6)


def test_openvino_is_given_patches_as_products(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    OpenVinoTowers(clip, "fp32", 1, 1)
    assert sum(isinstance(layer, PatchProduct) for layer in clip.model.modules()) == 1
    assert not any(isinstance(layer, nn.Conv2d) for layer in clip.model.modules())


def test_in_bf16_vectors_point_where_they_did(clip: Clip, checkpoint_dir: Path) -> None:
    pixels = noise(clip, 8)
    embed = OpenVinoTowers(Clip(load_checkpoint(checkpoint_dir)), "bf16", 1, 8).workers[0]
    assert (embed(pixels) * clip.embed_images(pixels)).sum(dim=-1).min() > 0.999


def test_no_batch_is_padded_by_more_than_half_of_itself() -> None:
    assert all(later <= 2 * (earlier + 1) * 0.75 for earlier, later in pairwise(BATCH_SIZES))


def test_making_a_tower_tells_nobody(checkpoint_dir: Path, tmp_path: Path) -> None:
    """OpenVINO by itself reports its use to Google Analytics."""
    script = """
import pathlib, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        print(event, arguments)
sys.addaudithook(refuse)
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.load import build_towers
from model.serving.towers.openvino import OpenVinoTowers
clip = Clip(load_checkpoint(pathlib.Path(sys.argv[1])))
OpenVinoTowers(clip, "fp32", 1, 1).workers[0](clip.blank_pixels())
"""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(checkpoint_dir)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_graphs_on_a_gpu_give_the_clips_own_vectors_in_whatever_order(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir, "cuda"))
    towers = build_towers(clip, "fp32", 2)
    batches = [noise(clip, images) for images in (64, 1, 5, 7, 64, 3)]
    expected = [clip.embed_images(batch) for batch in batches]

    def embed(worker: int) -> list[torch.Tensor]:
        return [towers.workers[worker](batch) for batch in batches * 5]

    with ThreadPoolExecutor(3) as pool:
        first, second = pool.submit(embed, 0), pool.submit(embed, 1)
        texts = pool.submit(lambda: [towers.embed_texts(["a cat", "a dog"]) for _ in range(50)])
        for found in (*first.result(), *second.result()):
            assert torch.allclose(found, next(each for each in expected if len(each) == len(found)), atol=1e-4)
        assert all(torch.allclose(each[0].vector, texts.result()[0][0].vector, atol=1e-5) for each in texts.result())
