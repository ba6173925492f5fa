"""Fetch a CLIP checkpoint from the Hugging Face hub, while an image is built; afterwards nothing needs the network.

    python fetch.py openai/clip-vit-base-patch32 3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268 /opt/wordsight/base

It imports nothing of ours: the image's layer of weights is made by this file alone, and outlives a change of any other.
"""

import json
import sys
from pathlib import Path

import torch
from huggingface_hub import HfApi, snapshot_download
from safetensors.torch import save_file

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
METADATA = "wordsight.json"
"""Both as in contract/models.py."""
PICKLED_WEIGHTS = "pytorch_model.bin"
TEXT_FILES = ("*.json", "*.txt", "README.md")


def fetch(model_id: str, revision: str, directory: Path) -> None:
    """Download one revision into `directory`, its weights as safetensors. Whether they load is seen by loading them."""
    files = HfApi().list_repo_files(model_id, revision=revision)
    weights = "*.safetensors" if any(name in files for name in WEIGHTS) else PICKLED_WEIGHTS
    snapshot_download(model_id, revision=revision, local_dir=directory, allow_patterns=[*TEXT_FILES, weights])
    if weights == PICKLED_WEIGHTS:
        convert_weights(directory)
    (directory / METADATA).write_text(json.dumps({"version": f"{model_id}@{revision[:12]}"}, indent=2) + "\n")


def convert_weights(directory: Path) -> None:
    """Replace `pytorch_model.bin`, read without running any code in it, by `model.safetensors`."""
    pickled = directory / PICKLED_WEIGHTS
    weights = torch.load(pickled, map_location="cpu", weights_only=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, directory / WEIGHTS[0], {"format": "pt"})
    pickled.unlink()


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
