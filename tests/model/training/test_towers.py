"""Both towers in chunks and in mixed precision."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from sys import maxsize

import pytest
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from model.training.loop import Loop
from model.training.loss import contrastive_loss
from model.training.towers import PROBED_STEPS, Towers, faster_in_bf16
from tests.model.conftest import IMAGE_SIDE_PX, tiny_model, tiny_tokenizer
from tests.model.loops import FORKED, exported

TEXTS = [f"a {word} one" for word in ("red", "green", "round", "flat", "large", "striped", "quiet")]


def gradients(chunk_size: int) -> list[Tensor]:
    torch.manual_seed(1)
    tokenizer = tiny_tokenizer()
    model, pixels = tiny_model(tokenizer), torch.randn(7, 3, IMAGE_SIDE_PX, IMAGE_SIDE_PX)
    towers = Towers(model, tokenizer, False, chunk_size)
    logits = 10 * towers.embed_images(pixels) @ towers.embed_texts(TEXTS).T
    contrastive_loss(logits, torch.eye(7, dtype=torch.bool)).backward()
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_chunks_have_the_gradients_of_the_whole_batch(chunk_size: int) -> None:
    whole, chunked = (torch.cat([each.flatten() for each in gradients(size)]) for size in (maxsize, chunk_size))
    assert (whole - chunked).norm() <= 1e-5 * whole.norm()


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peaks_of_chunks_and_of_the_whole(images: int) -> tuple[int, int]:
    """By how much a step raises the most memory ever held: in eight chunks, and then all at once."""
    torch.set_num_threads(1)
    tokenizer = tiny_tokenizer()
    tower = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 6, "num_attention_heads": 2}
    text = {"num_hidden_layers": 1, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
    vision = {**tower, "image_size": 64, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config={**tower, **text}, vision_config=vision, projection_dim=16))
    pixels = torch.randn(images, 3, 64, 64)
    Towers(model, tokenizer, False, maxsize).embed_images(pixels[:2]).sum().backward()
    before, peaks = peak_bytes(), []
    for chunk_size in (images // 8, maxsize):
        Towers(model, tokenizer, False, chunk_size).embed_images(pixels).square().sum().backward()
        peaks.append(peak_bytes() - before)
    return peaks[0], peaks[1]


@pytest.mark.slow
def test_eight_chunks_need_a_third_of_the_memory_or_less() -> None:
    # in a process of its own: this one may have held more before
    with ProcessPoolExecutor(1, mp_context=FORKED) as pool:
        chunks, whole = pool.submit(peaks_of_chunks_and_of_the_whole, 128).result()
    assert chunks <= whole / 3, (chunks, whole)


def test_half_precision_answers_nearly_the_same_and_in_full_precision() -> None:
    tokenizer = tiny_tokenizer()
    model, pixels = tiny_model(tokenizer), torch.randn(4, 3, IMAGE_SIDE_PX, IMAGE_SIDE_PX)
    full, half = (Towers(model, tokenizer, bf16, maxsize).embed_images(pixels) for bf16 in (False, True))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half) and torch.allclose(full, half, atol=0.05)


@pytest.mark.parametrize(("slow", "picked"), [(False, True), (True, False), (None, False)])
def test_a_cpu_takes_what_its_steps_are_clearly_faster_in(slow: bool | None, picked: bool) -> None:
    taken = []

    def step(bf16: bool) -> None:
        taken.append(bf16)
        work_s(0.03 if bf16 is slow else 0.01)

    assert faster_in_bf16(step) is picked
    assert sorted(taken) == [False] * PROBED_STEPS + [True] * PROBED_STEPS


def work_s(seconds: float) -> None:
    until_s = time.process_time() + seconds
    while time.process_time() < until_s:
        pass


@pytest.mark.parametrize("waits", [True, False])
def test_what_a_step_waits_for_decides_nothing(waits: bool) -> None:
    """As on a machine that others use, where one of the two is tried while they compute."""

    def step(bf16: bool) -> None:
        work_s(0.01 if bf16 else 0.02)
        time.sleep(0.05 if bf16 is waits else 0)

    assert faster_in_bf16(step)


@pytest.mark.parametrize(("asked", "found"), [("bf16", "bf16"), ("fp32", "fp32"), ("auto", None)])
def test_the_precision_that_was_chosen_stands_in_the_checkpoint(
    loop_of: Callable[..., Loop], asked: str, found: str | None
) -> None:
    loop = loop_of(precision=asked)
    assert exported(loop).precision is None, "before the first step"
    loop.take_step()
    assert exported(loop).precision == (found or ("bf16" if loop.bf16 else "fp32"))


def test_a_precision_that_is_asked_for_is_not_probed(loop_of: Callable[..., Loop]) -> None:
    for precision in ("bf16", "fp32"):
        loop, asked = loop_of(precision=precision), []
        loop.model.logit_scale.register_hook(lambda gradient, asked=asked: asked.append(gradient))
        loop.take_step()
        assert loop.bf16 is (precision == "bf16") and len(asked) == 1


def test_the_decision_is_part_of_the_state_and_outlives_a_restart(loop_of: Callable[..., Loop]) -> None:
    started, resumed = loop_of(precision="auto"), loop_of(precision="auto")
    started.take_step()
    assert started.bf16 is not None
    state = started.state() | {"bf16": not started.bf16}
    resumed.resume((1, state))
    resumed.take_step()
    assert resumed.bf16 is not started.bf16


def test_weights_and_loss_stay_in_full_precision(loop_of: Callable[..., Loop]) -> None:
    full, half = loop_of(), loop_of(precision="bf16")
    losses = [loop.take_step() for loop in (full, half)]
    assert half.bf16 and losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
    assert {weight.dtype for weight in half.learning} == {torch.float32}
