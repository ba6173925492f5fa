"""Both towers in chunks and in a precision."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.training.loss import contrastive_loss
from model.training.towers import Towers
from tests.model.conftest import IMAGE_SIDE_PX, tiny_model, tiny_tokenizer

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [f"a {word} one" for word in ("red", "green", "round", "flat", "large", "striped", "quiet")]
PEAK = """
import resource, sys, torch
from transformers import CLIPConfig, CLIPModel
from model.training.towers import Towers
from tests.model.conftest import tiny_tokenizer

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

torch.set_num_threads(1)
tokenizer = tiny_tokenizer()
tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 6, "num_attention_heads": 2}
config = CLIPConfig(
    text_config={**tower, "num_hidden_layers": 1, "vocab_size": len(tokenizer), "max_position_embeddings": 16},
    vision_config={**tower, "image_size": 64, "patch_size": 8}, projection_dim=16,
)
model = CLIPModel(config)
pixels = torch.randn(256, 3, 64, 64)
Towers(model, tokenizer, False, None).embed_images(pixels[:2]).sum().backward()
before = peak_bytes()
Towers(model, tokenizer, False, int(sys.argv[1])).embed_images(pixels).square().sum().backward()
print(peak_bytes() - before)
"""


def gradients(chunk_size: int | None) -> list[Tensor]:
    torch.manual_seed(1)
    tokenizer = tiny_tokenizer()
    model, pixels = tiny_model(tokenizer), torch.randn(7, 3, IMAGE_SIDE_PX, IMAGE_SIDE_PX)
    towers = Towers(model, tokenizer, False, chunk_size)
    logits = 10 * towers.embed_images(pixels) @ towers.embed_texts(TEXTS).T
    contrastive_loss(logits, torch.eye(7, dtype=torch.bool)).backward()
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_chunks_have_the_gradients_of_the_whole_batch(chunk_size: int) -> None:
    whole, chunked = (torch.cat([each.flatten() for each in gradients(size)]) for size in (None, chunk_size))
    assert (whole - chunked).norm() <= 1e-5 * whole.norm()


def test_eight_chunks_need_a_third_of_the_memory_or_less() -> None:
    peaks = []
    for chunk_size in (256, 32):
        command = [sys.executable, "-c", PEAK, str(chunk_size)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        peaks.append(int(done.stdout))
    assert peaks[1] <= peaks[0] / 3, peaks


def test_half_precision_answers_nearly_the_same_and_in_full_precision() -> None:
    tokenizer = tiny_tokenizer()
    model, pixels = tiny_model(tokenizer), torch.randn(4, 3, IMAGE_SIDE_PX, IMAGE_SIDE_PX)
    full, half = (Towers(model, tokenizer, bf16, None).embed_images(pixels) for bf16 in (False, True))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half) and torch.allclose(full, half, atol=0.05)
