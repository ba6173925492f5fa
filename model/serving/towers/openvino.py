"""The towers on a CPU, run by OpenVINO.

torch takes 1.2 to 1.7 times as long for an image alone, which is how most come to a CPU, and 1.4 times for a batch of
labels (benchmarks/zen5/serving.md).
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import BatchEncoding

from contract.containers import Precision
from model.clip.encode import Clip, TextEmbedding
from model.serving.towers.openvino_without_telemetry import openvino

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What OpenVINO calls them, and what computes between int8 matrices."""


class OpenVinoTowers:
    """Compiled copies of a Clip's towers, for `workers` threads of which each has a core to itself. The Clip answers as
    before but for the last bits of an fp32.
    """

    def __init__(self, clip: Clip, precision: Precision, workers: int, largest_batch: int) -> None:
        self.batch_sizes = range(1, largest_batch + 1)
        self._clip = clip
        self._options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": workers,
        }
        clip.replace_image_layers(nn.Conv2d, PatchProduct)
        blank, tokens = clip.blank_pixels(), clip.read_texts(["a photo of something"])
        images = _converted(clip, clip.encode_images, (blank,))
        images.reshape([-1, *blank.shape[1:]])
        compiled = self._compiled(images, ENABLE_CPU_PINNING=workers > 1)
        self.workers = [partial(_computed, compiled.create_infer_request()) for _ in range(workers)]
        self._reads = tuple(tokens)
        texts = _converted(clip, _encoder_of_texts(clip, self._reads), tuple(tokens.values()))
        self._texts = self._compiled(texts, ENABLE_CPU_PINNING=False)  # each model would pin to the same cores

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """As `Clip.embed_texts`, in any thread."""
        return self._clip.embed_texts(texts, self._encode_tokens)

    def _encode_tokens(self, tokens: BatchEncoding) -> Tensor:
        return _computed(self._texts.create_infer_request(), *(tokens[name] for name in self._reads))

    def _compiled(self, model: openvino.Model, **options: object) -> openvino.CompiledModel:
        with ThreadPoolExecutor(1) as apart:  # see _computed
            return apart.submit(openvino.Core().compile_model, model, "CPU", {**self._options, **options}).result()


def _encoder_of_texts(clip: Clip, reads: Sequence[str]) -> Callable[..., Tensor]:
    """From what the text tower reads, each [T, N]."""
    return lambda *tokens: clip.encode_tokens(BatchEncoding(dict(zip(reads, tokens, strict=True))))


class PatchProduct(nn.Module):
    """A vision transformer's one convolution, whose patches do not overlap, as the matrix product that it is. OpenVINO
    takes half the time for that: 2 % of a bf16 tower's, 5 % of an int8 one's.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias  # [D, 3, side, side]

    def forward(self, pixels: Tensor) -> Tensor:
        side = self.weight.shape[-1]
        batch, channels, height, width = pixels.shape
        rows, columns = height // side, width // side
        cut = pixels[:, :, : rows * side, : columns * side].reshape(batch, channels, rows, side, columns, side)
        patches = cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * side * side)
        product = linear(patches, self.weight.flatten(1), self.bias)  # [B, patches, D]
        return product.transpose(1, 2).reshape(batch, -1, rows, columns)


def _computed(request: openvino.InferRequest, *inputs: Tensor) -> Tensor:
    """What a request makes of its inputs, on a thread of OpenVINO's own. `infer` may compute in the caller's, and leave
    there what the kernel can't make room for at the next signal on a CPU with AMX: it ends the process then.
    """
    request.start_async([each.numpy() for each in inputs], share_inputs=True)
    request.wait()
    return torch.from_numpy(request.get_output_tensor().data.copy())


def _converted(clip: Clip, encode: Callable[..., Tensor], example: tuple[Tensor, ...]) -> openvino.Model:
    """What computes the same as `encode`, as OpenVINO's graph, with every size of the example left open."""
    with torch.inference_mode(), warnings.catch_warnings():
        # the tracer looks at every attribute of the model, those that warn of their end included, and warns of its own
        warnings.simplefilter("ignore")
        return openvino.convert_model(_Encoder(clip, encode), example_input=example)


class _Encoder(nn.Module):
    def __init__(self, clip: Clip, encode: Callable[..., Tensor]) -> None:
        super().__init__()
        self._model = clip.model  # a module's own weights are what the tracer takes for constants
        self._encode = encode

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._encode(*inputs)
