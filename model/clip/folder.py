"""A checkpoint's folder on disk, before any model is made of it: what it says, its weights, and if they are numbers.

Weights are read from safetensors only (a pickle runs code) and from disk only (the containers have no network).
Nothing here imports transformers.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from contract.checkpoints import Checked, CheckpointMetadata, Folder, check_checkpoint, read_metadata
from contract.models import CONFIG, METADATA
from contract.open_clip import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
from contract.problems import BadRequest
from model.clip.open_clip import clip_weights


class CheckpointError(Exception):
    """A folder that is no usable checkpoint. The text names the folder, what is wrong and what is needed."""


def is_checkpoint(directory: Path) -> bool:
    """Whether the folder claims to hold a checkpoint; `check_folder` says whether it does."""
    return any((directory / name).is_file() for name in (CONFIG, OPEN_CLIP_CONFIG))


def check_folder(directory: Path) -> Checked:
    """What a folder says. Raises CheckpointError if a file is missing, is neither CLIP nor SigLIP, or does not hold
    every weight.
    """
    if not is_checkpoint(directory):
        raise CheckpointError(
            f"{directory} holds no {CONFIG}: give a folder as CLIPModel.save_pretrained writes it, or as open_clip "
            f"does, with {OPEN_CLIP_CONFIG}"
        )
    try:
        return check_checkpoint(Folder(directory), str(directory))
    except BadRequest as problem:
        raise CheckpointError(f"{directory} is no checkpoint: {problem.detail}") from None


def read_weights(directory: Path, checked: Checked) -> dict[str, Tensor]:
    """The tensors of a folder by the names that transformers' models give them, in the types that they are stored in.
    They lie in the mapped file until something is computed from them.
    """
    if checked.open_clip:
        return clip_weights(load_file(directory / OPEN_CLIP_WEIGHTS), *checked.open_clip.layers)
    found: dict[str, Tensor] = {}
    for file in sorted({tensor.file for tensor in checked.tensors.values()}):
        found |= load_file(directory / file)
    return {name: found[name] for name in checked.config.tensors()}


def check_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Raises CheckpointError if a weight is infinite or no number, as a training that diverged leaves them, or as large
    ones become in half precision.
    """
    for name, weight in weights.items():
        if not torch.isfinite(torch.stack(weight.aminmax())).all():  # one NaN makes both of them NaN
            raise CheckpointError(f"{where} holds weights that are infinite or no numbers (NaN), such as {name}")


def load_metadata(directory: Path) -> CheckpointMetadata:
    """Read `wordsight.json`; a checkpoint without one is called by the digest of its weights."""
    path = directory / METADATA
    if not path.is_file():
        digest = hashlib.sha256()
        for weights in sorted(directory.glob("*.safetensors")):
            with weights.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return CheckpointMetadata(version=f"base-{digest.hexdigest()[:12]}")
    try:
        return read_metadata(path.read_bytes())
    except BadRequest as problem:
        raise CheckpointError(f"{path} is not valid: {problem.detail}") from None
