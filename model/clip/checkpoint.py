"""Checkpoints: a folder as Hugging Face's CLIPModel or SiglipModel saves it, plus `wordsight.json`.

    config.json  model.safetensors  preprocessor_config.json  tokenizer files  wordsight.json (optional)

or as open_clip saves its own, which become CLIPModel's while they are loaded. Weights are read from safetensors only
(a pickle runs code) and from disk only (the containers have no network).
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from contract.checkpoints import CheckpointMetadata, Folder, check_checkpoint, read_metadata
from contract.models import CONFIG, METADATA
from contract.open_clip import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
from contract.open_clip_folder import OpenClipFolder
from contract.problems import BadRequest
from model.clip.architecture import DualEncoder, context_length, load_model, load_processor, load_tokenizer
from model.clip.open_clip import clip_weights
from model.clip.preprocess import ImageProcessor


class CheckpointError(Exception):
    """A folder that is no usable checkpoint. The text names the folder, what is wrong and what is needed."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything that belongs to it."""

    model: DualEncoder
    tokenizer: PreTrainedTokenizerBase
    processor: ImageProcessor
    metadata: CheckpointMetadata

    @property
    def context_length(self) -> int:
        """The most tokens a text may have, its start and end tokens included."""
        return context_length(self.model)


def is_checkpoint(directory: Path) -> bool:
    """Whether the folder claims to hold a checkpoint; `load_checkpoint` says whether it does."""
    return any((directory / name).is_file() for name in (CONFIG, OPEN_CLIP_CONFIG))


def load_checkpoint(directory: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Load a folder into memory, in evaluation mode.

    Raises CheckpointError if a file is missing, is neither CLIP nor SigLIP, or does not hold every weight.
    """
    if not is_checkpoint(directory):
        raise CheckpointError(
            f"{directory} holds no {CONFIG}: give a folder as CLIPModel.save_pretrained writes it, or as open_clip "
            f"does, with {OPEN_CLIP_CONFIG}"
        )
    try:
        checked = check_checkpoint(Folder(directory), str(directory))
    except BadRequest as problem:
        raise CheckpointError(f"{directory} is no checkpoint: {problem.detail}") from None
    disable_progress_bar()
    try:
        folder = checked.open_clip
        converted = _converted(directory, folder) if folder else None
        model, loading = load_model(directory, checked.config, dtype, converted)
        tokenizer = load_tokenizer(directory, checked.config)
        processor = load_processor(directory, checked.config, folder.preprocessor if folder else None)
    except Exception as error:  # transformers promises no type
        raise CheckpointError(f"{directory} can't be loaded: {error}") from error
    if absent := loading["missing_keys"] or loading["mismatched_keys"]:
        raise CheckpointError(f"{directory} lacks {len(absent)} weights of its model, such as {min(map(str, absent))}")
    check_finite(model.state_dict(), str(directory))
    return Checkpoint(model.to(device).eval(), tokenizer, processor, load_metadata(directory))


def _converted(directory: Path, folder: OpenClipFolder) -> dict[str, Tensor]:
    return clip_weights(load_file(directory / OPEN_CLIP_WEIGHTS), *folder.layers)


def check_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Raises CheckpointError if a weight is infinite or no number, as a training that diverged leaves them, or as large
    ones become in half precision.
    """
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
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


def save_checkpoint(
    directory: Path,
    model: DualEncoder,
    tokenizer: PreTrainedTokenizerBase,
    processor: ImageProcessor,
    metadata: CheckpointMetadata,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint so that a reader finds the old one, none, or the new one, and never a mixture.

    Everything is written beside the goal first; `config.json`, without which the folder is no checkpoint, moves last.
    Works where the folder itself can't be renamed, such as a mounted /opt/ml/model. Raises CheckpointError for weights
    that are not finite, in `dtype` too.
    """
    disable_progress_bar()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=directory) as scratch:
        staged = Path(scratch)
        weights = {name: weight.detach().to("cpu", dtype) for name, weight in model.state_dict().items()}
        check_finite(weights, "what is to be saved")
        model.save_pretrained(staged, state_dict=weights)
        config: dict[str, Any] = json.loads((staged / CONFIG).read_text())
        config["dtype"] = str(dtype).removeprefix("torch.")
        (staged / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        tokenizer.save_pretrained(staged)
        processor.save_pretrained(staged)
        (staged / METADATA).write_text(metadata.model_dump_json(indent=2, exclude_none=True) + "\n")
        for path in staged.iterdir():
            path.chmod(0o644)  # safetensors leaves its files to their owner alone
            with path.open("rb") as file:
                os.fsync(file.fileno())
        (directory / CONFIG).unlink(missing_ok=True)
        for path in sorted(staged.iterdir(), key=lambda path: path.name == CONFIG):
            path.replace(directory / path.name)
