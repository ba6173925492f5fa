"""Which precision a run computes in: weights, gradients and loss are float32 either way."""

import time
from collections.abc import Callable
from typing import Literal

import torch

from model.clip.device import multiplies_bf16

PROBED_STEPS = 3
WORTH_IT = 1.15
"""How much faster bfloat16 must be on a CPU to be worth its rounding, and a probe to be more than noise."""

Precision = Literal["auto", "fp32", "bf16"]


def picks_bf16(precision: Precision, device: torch.device, step: Callable[[bool], object]) -> bool:
    """What was asked for; else where a GPU has units for it, or on a CPU where `step(bf16)` runs so much faster.

    Small models lose by it, even on CPUs with bfloat16 instructions: the conversions cost more than is saved.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return multiplies_bf16(device)
    return _fastest_s(step, bf16=True) * WORTH_IT < _fastest_s(step, bf16=False)


def _fastest_s(step: Callable[[bool], object], bf16: bool) -> float:
    times = []
    for _ in range(PROBED_STEPS):
        start_s = time.perf_counter()
        step(bf16)
        times.append(time.perf_counter() - start_s)
    return min(times)
