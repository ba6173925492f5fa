"""The image tower on a CPU, run by OpenVINO.

torch takes 1.2 to 1.7 times as long for an image alone, which is how most come to a CPU (benchmarks/serving.md). Texts
come in batches, for which torch is as fast, so the text tower stays with it.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from model.inference import Clip
from model.serving.image_tower import Embed
from model.serving.quiet_openvino import openvino
from model.settings import Precision

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What OpenVINO calls them, and what computes between int8 matrices."""


class OpenVinoTower:
    """A compiled copy of a Clip's image tower, for `workers` threads of which each has a core to itself."""

    def __init__(self, clip: Clip, precision: Precision, workers: int, largest_batch: int) -> None:
        self.batch_sizes = range(1, largest_batch + 1)
        compiled = openvino.Core().compile_model(
            _converted(clip),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": HINTS[precision],
                "NUM_STREAMS": workers,
                "INFERENCE_NUM_THREADS": workers,
                "ENABLE_CPU_PINNING": workers > 1,
            },
        )
        self.workers = [_worker(compiled) for _ in range(workers)]


def _worker(compiled: openvino.CompiledModel) -> Embed:
    """A way through the model of its own."""
    request = compiled.create_infer_request()

    def embed(pixels: Tensor) -> Tensor:
        return torch.from_numpy(request.infer([pixels.numpy()], share_inputs=True)[0])

    return embed


def _converted(clip: Clip) -> openvino.Model:
    """The tower as OpenVINO's graph."""
    with torch.inference_mode(), warnings.catch_warnings():
        # the tracer looks at every attribute of the model, those that warn of their end included, and warns of its own
        warnings.simplefilter("ignore")
        model = openvino.convert_model(_Encoder(clip), example_input=clip.blank_pixels())
    model.reshape([-1, *clip.blank_pixels().shape[1:]])
    return model


class _Encoder(nn.Module):
    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._model = clip.model
        self._clip = clip

    def forward(self, pixels: Tensor) -> Tensor:
        return self._clip.encode_images(pixels)
