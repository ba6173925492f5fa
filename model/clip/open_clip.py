"""open_clip's weights as CLIPModel has them, which computes the same by them: renamed, split and transposed.

Which is which is written in contract/open_clip.py; with that, and nothing else of ours, it converts what is fetched.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from contract.open_clip import TRANSPOSED, check_names, clip_tensors


def clip_weights(weights: Mapping[str, Tensor], vision_layers: int, text_layers: int) -> dict[str, Tensor]:
    """CLIPModel's tensors, of the same type. Raises ValueError for one that is missing, or more than a CLIP has."""
    if max(vision_layers, text_layers) > len(weights):
        raise ValueError(
            f"there are {len(weights)} tensors, which is too few for {vision_layers} + {text_layers} layers"
        )
    places = clip_tensors(vision_layers, text_layers)
    check_names(weights, places)
    return {name: tensor for theirs in places for name, tensor in _parts(theirs, weights[theirs], places[theirs])}


def _parts(theirs: str, tensor: Tensor, names: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    if len(names) == 1:
        yield names[0], (tensor.T if theirs in TRANSPOSED else tensor).contiguous()
        return
    for name, part in zip(names, tensor.chunk(len(names)), strict=True):
        yield name, part.clone()  # safetensors writes no two tensors that share memory
