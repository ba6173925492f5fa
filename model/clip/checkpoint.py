"""Checkpoints: a folder as Hugging Face's CLIPModel saves it, plus `wordsight.json`.

    config.json  model.safetensors  preprocessor_config.json  tokenizer files  wordsight.json (optional)

Weights are read from safetensors only (a pickle runs code) and from disk only (the containers have no network).
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from contract.models import CONFIG, METADATA, PROCESSOR, TOKENIZERS, WEIGHTS
from model.clip.preprocess import ImageProcessor


class CheckpointError(Exception):
    """A folder that is no usable checkpoint. The text names the folder, what is wrong and what is needed."""


class MultiLabelCalibration(BaseModel):
    """Platt scaling: the score of a label on its own is sigmoid(a * cosine + b)."""

    model_config = ConfigDict(frozen=True)

    a: float
    b: float


class Calibration(BaseModel):
    """What turns similarities into honest probabilities, fitted on validation data. None: not fitted."""

    model_config = ConfigDict(frozen=True)

    temperature: float | None = Field(default=None, gt=0, description="softmax(logits / temperature)")
    multi_label: MultiLabelCalibration | None = None


class CheckpointMetadata(BaseModel):
    """`wordsight.json`: where a checkpoint comes from and how good it was found to be."""

    model_config = ConfigDict(frozen=True)

    version: str = Field(min_length=1, description="Names these weights, and no others, for good")
    parent: str | None = Field(default=None, description="The version it was fine-tuned from")
    data_digest: str | None = Field(default=None, description="sha256 of the data it was trained on")
    metrics: dict[str, JsonValue] = {}
    calibration: Calibration = Calibration()


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything that belongs to it."""

    model: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    processor: ImageProcessor
    metadata: CheckpointMetadata

    @property
    def context_length(self) -> int:
        """The most tokens a text may have, its start and end tokens included."""
        return int(self.model.config.text_config.max_position_embeddings)


def is_checkpoint(directory: Path) -> bool:
    """Whether the folder claims to hold a checkpoint; `load_checkpoint` says whether it does."""
    return (directory / CONFIG).is_file()


def load_checkpoint(directory: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Load a folder into memory, in evaluation mode.

    Raises CheckpointError if a file is missing, is not CLIP, or does not hold every weight.
    """
    _check_files(directory)
    disable_progress_bar()
    try:
        model, loading = CLIPModel.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        processor = ImageProcessor.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{directory} can't be loaded: {error}") from error
    if absent := loading["missing_keys"] or loading["mismatched_keys"]:
        raise CheckpointError(f"{directory} lacks {len(absent)} weights of its model, such as {min(map(str, absent))}")
    return Checkpoint(model.to(device).eval(), tokenizer, processor, load_metadata(directory))


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
        return CheckpointMetadata.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{path} is not valid: {error}") from None


def save_checkpoint(
    directory: Path,
    model: CLIPModel,
    tokenizer: PreTrainedTokenizerBase,
    processor: ImageProcessor,
    metadata: CheckpointMetadata,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint so that a reader finds the old one, none, or the new one, and never a mixture.

    Everything is written beside the goal first; `config.json`, without which the folder is no checkpoint, moves last.
    Works where the folder itself can't be renamed, such as a mounted /opt/ml/model.
    """
    disable_progress_bar()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=directory) as scratch:
        staged = Path(scratch)
        weights = {name: weight.detach().to("cpu", dtype) for name, weight in model.state_dict().items()}
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


def _check_files(directory: Path) -> None:
    if not is_checkpoint(directory):
        raise CheckpointError(f"{directory} holds no {CONFIG}: give a folder as CLIPModel.save_pretrained writes it")
    try:
        model_type = json.loads((directory / CONFIG).read_text()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"{directory / CONFIG} is not a JSON object: {error}") from None
    if model_type != "clip":
        raise CheckpointError(f"{directory} is a {model_type!r} model, only 'clip' models are served")
    for kind, names in (("weights", WEIGHTS), ("a tokenizer", TOKENIZERS), ("image sizes", (PROCESSOR,))):
        if not any((directory / name).is_file() for name in names):
            found = ", ".join(sorted(path.name for path in directory.iterdir()))
            raise CheckpointError(f"{directory} lacks {kind}: {' or '.join(names)} is needed, found {found}")
