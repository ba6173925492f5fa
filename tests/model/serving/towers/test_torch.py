"""CUDA graphs: how far batches are padded, and that two workers and the texts do not disturb each other."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import check_folder
from model.serving.load import load_towers
from model.serving.towers.torch import BATCH_SIZES
from tests.model.serving.towers.images import noise


def test_no_batch_is_padded_by_more_than_half_of_itself() -> None:
    assert all(later <= 2 * (earlier + 1) * 0.75 for earlier, later in pairwise(BATCH_SIZES))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_graphs_on_a_gpu_give_the_clips_own_vectors_in_whatever_order(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir, "cuda"))
    _, towers = load_towers(checkpoint_dir, check_folder(checkpoint_dir), "cuda", "fp32", workers=2)
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
