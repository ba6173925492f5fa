"""The image tower's matrices in 8 bits, for CPUs: half the bytes of bf16 to fetch, and some of the accuracy.

Weights are rounded per output, activations by one range per layer, found by looking at rendered scenes (static
post-training quantization: Jacob et al. 2018, https://arxiv.org/abs/1712.05877). The rounding is written as fake
quantization, which OpenVINO turns into int8 kernels. What a checkpoint loses by it depends on its weights, so it is
measured, on other scenes, before the first request.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import linear

from contract.questions import Question
from model.clip.encode import Clip
from model.clip.folder import CheckpointError
from model.clip.golden import PARAMETERS
from model.clip.scoring import score
from model.serving.towers import Embed, Towers

if TYPE_CHECKING:
    from model.serving.towers.openvino_without_telemetry import openvino

SCENES = 64
"""Of each kind: to find ranges by, and to measure the loss on."""

BATCH = 8
SCENES_FILE = Path(__file__).with_name("scenes.png")
"""Those to find ranges by, then as many to measure the loss on; model/world/contact_sheet.py drew them."""
SCENE_PX = 64

MARGIN = 0.02
MIN_AGREEMENT = 0.97
"""Of the answers whose lead was more than MARGIN in fp32."""
MIN_SURE = 32
"""Fewer of those prove nothing."""


class Quantization:
    """A Clip whose image tower computes in 8 bits from now on, and what it answered before."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._expected = _embedded(clip.embed_images, _scenes(clip)[SCENES:])
        layers = clip.replace_image_layers(nn.Linear, _Int8Linear)
        _embedded(clip.embed_images, _scenes(clip)[:SCENES])
        for layer in layers:
            layer.settled = True

    def graph(self) -> "openvino.Model":
        """The image tower as OpenVINO's graph, from images uint8 [B, 3, height, width] to unit vectors [B, D]. It is
        traced: so torch's fake quantization becomes OpenVINO's.
        """
        from model.serving.towers.openvino_without_telemetry import openvino  # not in a GPU's image

        self._clip.replace_image_layers(nn.Conv2d, PatchProduct)
        blank = self._clip.blank_pixels()
        with torch.inference_mode(), warnings.catch_warnings():
            # the tracer looks at every attribute, those that warn of their end included, and warns of its own
            warnings.simplefilter("ignore")
            graph = openvino.convert_model(_ImageEncoder(self._clip), example_input=(blank,))
        graph.reshape([-1, *blank.shape[1:]])
        return graph

    def check(self, towers: Towers) -> float:
        """The share of answers that are still the same. Raises CheckpointError if it is too small."""
        agreement, sure = self._agreement(_embedded(towers.workers[0], _scenes(self._clip)[SCENES:]))
        if sure < MIN_SURE:
            raise CheckpointError(
                f"PRECISION is int8, and whether {self._clip.version} bears it can't be told: it is sure of {sure} "
                f"answers about {SCENES} rendered scenes, at least {MIN_SURE} are needed. Choose bf16 or auto"
            )
        if agreement < MIN_AGREEMENT:
            raise CheckpointError(
                f"PRECISION is int8, and {self._clip.version} does not bear it: {agreement:.1%} of its answers about "
                f"{SCENES} rendered scenes stay the same, at least {MIN_AGREEMENT:.0%} are needed. Choose bf16 or auto"
            )
        return agreement

    def _agreement(self, found: Tensor) -> tuple[float, int]:
        """The share of the answers it was sure of that are the same, and how many those are."""
        same = sure = 0
        for parameters in PARAMETERS:
            question = Question.model_validate(parameters)
            embeds = self._clip.embed_question(question)
            before, after = (
                score(embeds, images, self._clip.logit_scale, self._clip.calibration)
                for images in (self._expected, found)
            )
            best, second = before.topk(2, dim=1).values.T
            counted = best - second > MARGIN
            same += int((before.argmax(dim=1) == after.argmax(dim=1))[counted].sum())
            sure += int(counted.sum())
        return same / max(sure, 1), sure


class _Int8Linear(nn.Module):
    """A linear layer that watches the range of its inputs, and once `settled` rounds them and its weights to 8 bits."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._layer = layer
        self._low, self._high = 0.0, 0.0  # zero must be one of the values
        self.settled = False
        self._steps = (layer.weight.detach().abs().amax(dim=1) / 127).clamp(min=1e-8)  # [outputs]
        self._zeros = torch.zeros_like(self._steps, dtype=torch.int32)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.settled:
            self._low, self._high = min(self._low, float(inputs.min())), max(self._high, float(inputs.max()))
            return linear(inputs, self._layer.weight, self._layer.bias)
        step = (self._high - self._low) / 255
        inputs = torch.fake_quantize_per_tensor_affine(inputs, step, round(-self._low / step), 0, 255)
        weight = torch.fake_quantize_per_channel_affine(self._layer.weight, self._steps, self._zeros, 0, -127, 127)
        return linear(inputs, weight, self._layer.bias)


class PatchProduct(nn.Module):
    """A vision transformer's one convolution, whose patches do not overlap, as the matrix product that it is. OpenVINO
    takes half the time for that, which is 5 % of an int8 tower's.
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


class _ImageEncoder(nn.Module):
    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._model = clip.model  # a module's own weights are what the tracer takes for constants
        self._encode = clip.encode_images

    def forward(self, pixels: Tensor) -> Tensor:
        return self._encode(pixels)


def _scenes(clip: Clip) -> list[Tensor]:
    """Rendered images, preprocessed."""
    sheet = np.asarray(Image.open(SCENES_FILE))
    rows, columns = sheet.shape[0] // SCENE_PX, sheet.shape[1] // SCENE_PX
    tiles = sheet.reshape(rows, SCENE_PX, columns, SCENE_PX, 3).swapaxes(1, 2).reshape(-1, SCENE_PX, SCENE_PX, 3)
    return [clip.preprocess(np.ascontiguousarray(tile)) for tile in tiles]


def _embedded(embed: Embed, images: list[Tensor]) -> Tensor:
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return torch.cat([embed(torch.stack(batch)) for batch in batches])
