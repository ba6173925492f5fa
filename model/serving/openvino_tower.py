"""The image tower on a CPU, run by OpenVINO.

torch takes 1.2 to 1.7 times as long for an image alone, which is how most come to a CPU (benchmarks/serving.md). Texts
come in batches, for which torch is as fast, so the text tower stays with it.
"""

from __future__ import annotations

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from model.inference import Clip
from model.serving.image_tower import Embed
from model.serving.precision import Precision

HINTS = {"fp32": "f32", "bf16": "bf16"}
"""What OpenVINO calls them."""


class OpenVinoTower:
    """A compiled copy of a Clip's image tower, for `workers` threads of which each has a core to itself."""

    def __init__(self, clip: Clip, precision: Precision, workers: int, largest_batch: int) -> None:
        self.workers = workers
        self.batch_sizes = range(1, largest_batch + 1)
        self._compiled = openvino.Core().compile_model(
            _converted(clip),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": HINTS[precision],
                "NUM_STREAMS": workers,
                "INFERENCE_NUM_THREADS": workers,
                "ENABLE_CPU_PINNING": workers > 1,
            },
        )

    def worker(self) -> Embed:
        """One worker's own way through the model; several may be on their ways at a time."""
        request = self._compiled.create_infer_request()

        def embed(pixels: Tensor) -> Tensor:
            return torch.from_numpy(request.infer([pixels.numpy()], share_inputs=True)[0])

        return embed


def _converted(clip: Clip) -> openvino.Model:
    """The tower as OpenVINO's graph.

    By the frontend itself: `openvino.convert_model` does the same, but tells Google Analytics of it.
    """
    with torch.inference_mode():
        traced = torch.jit.trace(_Encoder(clip), clip.blank_pixels())  # type: ignore[no-untyped-call]
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # the frontend keeps no reference of its own
    model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, *clip.blank_pixels().shape[1:]])
    return model


class _Encoder(nn.Module):
    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._model = clip.model
        self._clip = clip

    def forward(self, pixels: Tensor) -> Tensor:
        return self._clip.encode_images(pixels)
