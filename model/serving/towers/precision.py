"""In which arithmetic the towers run: chosen by the device, or told and then checked against it."""

from __future__ import annotations

import torch

from contract.containers import Precision, ServeSettings
from model.clip.device import DeviceError, multiplies_bf16

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

LARGE_PARAMETERS = 50_000_000
"""Below that bf16 saves a CPU a fraction of a millisecond per image, which is not worth its rounding."""


def pick_precision(settings: ServeSettings, device: str, parameters: int) -> Precision:
    """What is asked for, or the fastest that keeps a CLIP's answers. Raises DeviceError for what the device lacks.

    On a GPU that is fp16, which every one multiplies, the T4 included, and which CLIP was trained in. Logits and
    softmax are fp32 always.
    """
    if settings.exact:
        return "fp32"
    able = _precisions(device)
    if settings.precision == "auto":
        if device == "cpu":
            return "bf16" if "bf16" in able and parameters >= LARGE_PARAMETERS else "fp32"
        return "fp16"
    if settings.precision not in able:
        raise DeviceError(f"PRECISION is {settings.precision!r}, which this device lacks: it has {', '.join(able)}")
    return settings.precision


def _precisions(device: str) -> tuple[Precision, ...]:
    if device == "cpu":
        from model.serving.towers.openvino_without_telemetry import openvino  # not in a GPU's image

        has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("fp32", "bf16", "int8") if has_bf16 else ("fp32",)
    return ("fp32", "fp16", "bf16") if multiplies_bf16(torch.device(device)) else ("fp32", "fp16")
