"""Checkpoints: a folder as Hugging Face's CLIPModel or SiglipModel saves it, plus `wordsight.json`.

    config.json  model.safetensors  preprocessor_config.json  tokenizer files  wordsight.json (optional)

or as open_clip saves its own, which become CLIPModel's while they are loaded. Weights are read from safetensors only
(a pickle runs code) and from disk only (the containers have no network).
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from contract.checkpoints import CheckpointMetadata
from contract.models import CONFIG, METADATA
from model.clip.architecture import DualEncoder, context_length, load_model, load_processor, load_tokenizer
from model.clip.folder import CheckpointError, check_finite, check_folder, load_metadata, read_weights
from model.clip.preprocess import ImageProcessor


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


def load_checkpoint(directory: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Load a folder into memory, in evaluation mode.

    Raises CheckpointError if a file is missing, is neither CLIP nor SigLIP, or does not hold every weight.
    """
    checked = check_folder(directory)
    disable_progress_bar()
    try:
        folder = checked.open_clip
        converted = read_weights(directory, checked) if folder else None
        model, loading = load_model(directory, checked.config, dtype, converted)
        tokenizer = load_tokenizer(directory, checked.config)
        processor = load_processor(directory, checked.config, folder.preprocessor if folder else None)
    except Exception as error:  # transformers promises no type
        raise CheckpointError(f"{directory} can't be loaded: {error}") from error
    if absent := loading["missing_keys"] or loading["mismatched_keys"]:
        raise CheckpointError(f"{directory} lacks {len(absent)} weights of its model, such as {min(map(str, absent))}")
    check_finite(model.state_dict(), str(directory))
    return Checkpoint(model.to(device).eval(), tokenizer, processor, load_metadata(directory))


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
