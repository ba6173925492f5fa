"""The towers on a CPU, run by OpenVINO.

torch takes 1.2 to 1.7 times as long for an image alone, which is how most come to a CPU, and 1.4 times for a batch of
labels (benchmarks/zen5/serving.md).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from contract.containers import Precision
from model.clip.processing import Processing, TextEmbedding
from model.clip.tokens import Tokens
from model.serving.towers.openvino_without_telemetry import openvino

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What OpenVINO calls them, and what computes between int8 matrices."""


class OpenVinoTowers:
    """Compiled copies of a checkpoint's towers, for `workers` threads of which each has a core to itself.

    `images` and `texts`: their graphs, as openvino_graph.py writes them, or for int8 as int8.py traces them.
    """

    def __init__(
        self,
        processing: Processing,
        images: openvino.Model,
        texts: openvino.Model,
        precision: Precision,
        workers: int,
        largest_batch: int,
    ) -> None:
        self.batch_sizes = range(1, largest_batch + 1)
        self._processing = processing
        self._options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": workers,
        }
        with ThreadPoolExecutor(2) as apart:  # see _computed
            compiling = apart.submit(self._compiled, images, ENABLE_CPU_PINNING=workers > 1)
            # not pinned: each model would pin to the same cores
            self._texts = apart.submit(self._compiled, texts, ENABLE_CPU_PINNING=False).result()
            compiled = compiling.result()
        self.workers = [partial(_computed, compiled.create_infer_request()) for _ in range(workers)]

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts, in any thread."""
        return self._processing.embed_texts_by(self._encode_tokens, texts)

    def _encode_tokens(self, tokens: Tokens) -> Tensor:
        inputs = (tokens.ids,) if tokens.mask is None else (tokens.ids, tokens.mask)
        return _computed(self._texts.create_infer_request(), *inputs)

    def _compiled(self, model: openvino.Model, **options: object) -> openvino.CompiledModel:
        return openvino.Core().compile_model(model, "CPU", {**self._options, **options})


def _computed(request: openvino.InferRequest, *inputs: Tensor) -> Tensor:
    """What a request makes of its inputs, on a thread of OpenVINO's own. `infer` may compute in the caller's, and leave
    there what the kernel can't make room for at the next signal on a CPU with AMX: it ends the process then.
    """
    request.start_async([each.numpy() for each in inputs], share_inputs=True)
    request.wait()
    return torch.from_numpy(request.get_output_tensor().data.copy())
