"""Fetch a checkpoint from the Hugging Face hub, or from a folder, as one that can be served: CLIPModel's files, weights
as safetensors.

    python -m model.clip.fetch openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268 /opt/wordsight/base

Afterwards nothing needs the network. Files are kept in the hub's usual cache (HF_HOME) and linked from there; the last
line on stdout is the model's name with the commit that it was resolved to. It imports nothing of ours but what converts
open_clip's: the image's layer of weights is made by these files alone, and outlives a change of any other.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import is_offline_mode, snapshot_download
from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from contract.open_clip import (
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_PICKLE,
    OPEN_CLIP_WEIGHTS,
    clip_config,
    is_open_clip,
    preprocessor_config,
)
from model.clip.open_clip import clip_weights

CONFIG, METADATA = "config.json", "wordsight.json"
PROCESSOR, JOINT_PROCESSOR = "preprocessor_config.json", "processor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""All as in contract/models.py."""
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""The same as transformers once saved them: one file, or an index of several."""
TEXT_FILES = ("*.json", "*.txt", "README.md")
COMMIT_CHARS = 12
"""Of a commit's name, in a version's."""


class FetchError(Exception):
    """What went wrong, and what to do."""


def fetch(source: str, directory: Path) -> str:
    """Make `directory` the checkpoint that `source` names: a model of the hub, perhaps with `@revision`, or a folder.

    Returns `source` with the commit in place of the revision, or the folder's path. Does nothing where the directory is
    that already. Whether the weights load is seen by loading them. Raises FetchError.
    """
    if (folder := Path(source).expanduser()).is_dir():
        files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
        _make(directory, files, _weights(folder, files, str(folder)))
        return str(folder.resolve())
    if source.startswith((".", "/", "~")):
        raise FetchError(f"there is no folder {source}: give a folder, or a model's name on the hub, as OWNER/NAME")
    name, _, revision = source.partition("@")
    try:
        return _fetch_from_hub(name, revision, directory)
    except FetchError:
        raise
    except Exception as error:  # the hub's client promises no type
        raise FetchError(_why(name, revision, error)) from error


def _fetch_from_hub(name: str, revision: str, directory: Path) -> str:
    disable_progress_bars()  # but for the weights
    snapshot = Path(snapshot_download(name, revision=revision or "main", allow_patterns=list(TEXT_FILES)))
    commit = snapshot.name
    version = f"{name}@{commit[:COMMIT_CHARS]}"
    if _version(directory) != version:
        listed = {each.filename: each for each in snapshot_download(name, revision=commit, dry_run=True)}
        weights = _weights(snapshot, listed, name)
        missing = sum(listed[each].file_size or 0 for each in weights if listed[each].will_download)
        if missing:
            print(f"fetching {version}: {missing / 1e6:,.1f} MB, to be kept in {HF_HUB_CACHE}", file=sys.stderr)
        enable_progress_bars()
        snapshot_download(name, revision=commit, allow_patterns=[*TEXT_FILES, *weights])
        files = {path.name: path for path in sorted(snapshot.iterdir()) if path.is_file()}
        texts = [path for name, path in files.items() if any(map(path.match, TEXT_FILES))]
        for path in (*texts, *(files[each] for each in weights)):
            _check_arrived(path)
        _make(directory, files, weights, version)
    return f"{name}@{commit}"


def _weights(folder: Path, files: Collection[str], where: str) -> list[str]:
    """Which of the files hold the weights; `folder` has those that are text. Raises FetchError if none do."""
    config = _object(folder / CONFIG) if (folder / CONFIG).is_file() else None
    wanted: tuple[str, ...] = (*WEIGHTS, *PICKLES)
    listed = ", ".join(sorted(files)[:10]) or "no file"
    if is_open_clip(files, config, wanted):
        wanted = (OPEN_CLIP_WEIGHTS, OPEN_CLIP_PICKLE)
    elif config is None or not {"text_config", "vision_config"} <= config.keys():
        raise FetchError(
            f"{where} is no CLIP: its {CONFIG} should describe a text_config and a vision_config, or its "
            f"{OPEN_CLIP_CONFIG} a model of open_clip's; found {listed}"
        )
    found = next((name for name in wanted if name in files), None)
    if found is None:
        raise FetchError(f"{where} holds no weights: {' or '.join(wanted)} is needed, found {listed}")
    if not found.endswith(".json"):
        return [found]
    placed = _object(folder / found).get("weight_map")
    shards = sorted(set(placed.values())) if isinstance(placed, dict) else []
    if not shards or any(shard not in files for shard in shards):
        raise FetchError(f"{where}: {found} should name the files of the weights in its weight_map, found {listed}")
    return [found, *shards]


def _check_arrived(file: Path) -> None:
    """Compare a file with its checksum, as which the cache keeps it: git's of a text, SHA-256 of what is large."""
    kept = file.resolve()
    if len(kept.name) == 64:
        with kept.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    elif len(kept.name) == 40:
        content = kept.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    else:
        return  # a file system without links keeps it by its own name
    if found != kept.name:
        kept.unlink()
        file.unlink()
        raise FetchError(
            f"{file.name} arrived damaged: its checksum is {found[:12]}…, and should be {kept.name[:12]}…. It was "
            "removed from the cache: fetch it again"
        )


def _make(directory: Path, files: Mapping[str, Path], weights: list[str], version: str | None = None) -> None:
    """Lay the files of a folder out as a checkpoint. `version`: what it is called; None: as it calls itself, and the
    files are somebody's own. All is made beside the goal first, so that nobody finds half of it.
    """
    if directory.is_dir() and any(directory.iterdir()):
        older = _version(directory)
        if not (version and older and older.split("@")[0] == version.split("@")[0]):
            raise FetchError(f"{directory} is not empty: give a folder that is new")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
        made = Path(scratch) / "checkpoint"
        made.mkdir()
        try:
            _lay_out(made, files, weights, _link if version else shutil.copyfile)
        except (ValueError, SafetensorError) as error:
            raise FetchError(f"{version or files[weights[0]].parent}: {error}") from error
        if version:
            said = _object(files[METADATA]) if METADATA in files else {}
            (made / METADATA).unlink(missing_ok=True)
            (made / METADATA).write_text(json.dumps({**said, "version": version}, indent=2) + "\n")
        if directory.exists():
            shutil.rmtree(directory)
        made.rename(directory)


def _lay_out(made: Path, files: Mapping[str, Path], weights: list[str], place: Callable[[Path, Path], object]) -> None:
    is_theirs = weights[0] in (OPEN_CLIP_WEIGHTS, OPEN_CLIP_PICKLE)
    replaced = {CONFIG, PROCESSOR, JOINT_PROCESSOR, OPEN_CLIP_CONFIG} if is_theirs else set()
    for name, path in files.items():
        if any(map(path.match, TEXT_FILES)) and name not in replaced and not name.endswith(".index.json"):
            place(path, made / name)
    if weights[0] in WEIGHTS:
        for name in weights:
            place(files[name], made / name)
        return
    tensors = _read_weights([files[name] for name in weights])
    if is_theirs:
        said = _object(files[OPEN_CLIP_CONFIG])
        config = clip_config(said)
        tensors = clip_weights(
            tensors, *(config[each]["num_hidden_layers"] for each in ("vision_config", "text_config"))
        )
        for name, content in ((CONFIG, config), (PROCESSOR, preprocessor_config(said))):
            (made / name).write_text(json.dumps(content, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, made / WEIGHTS[0], {"format": "pt"})


def _link(path: Path, goal: Path) -> None:
    """The same file at another place; a copy where the file system can't."""
    try:
        os.link(path.resolve(), goal)
    except OSError:
        shutil.copyfile(path, goal)


def _version(directory: Path) -> str | None:
    """What a checkpoint calls itself; None: it does not, or is not there."""
    said = _object(directory / METADATA).get("version") if (directory / METADATA).is_file() else None
    return said if isinstance(said, str) else None


def _read_weights(files: list[Path]) -> dict[str, torch.Tensor]:
    """The tensors of one file, or of those behind an index; of a pickle no code is run."""
    found: dict[str, torch.Tensor] = {}
    for file in files:
        if file.suffix == ".safetensors":
            found |= load_file(file)
        elif file.suffix != ".json":
            found |= _unpickle(file)
    return found


def _unpickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch promises no type for what is no pickle of weights
        raise FetchError(
            f"{file.name} can't be read without running code that it may hold ({_first_line(error)}): take a revision "
            "or a model that has safetensors"
        ) from error
    weights = held.get("state_dict", held) if isinstance(held, dict) else {}
    named = weights.items() if isinstance(weights, dict) else ()
    tensors = {str(name).removeprefix("module."): each for name, each in named if isinstance(each, torch.Tensor)}
    if not tensors:
        raise FetchError(f"{file.name} holds no weights: a dict of tensors by their names is needed")
    return {name: tensor.clone() for name, tensor in tensors.items()}  # safetensors refuses memory that two share


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FetchError(f"{file} can't be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise FetchError(f"{file} is not a JSON object")
    return found


def _why(name: str, revision: str, error: Exception) -> str:
    """A sentence for what the hub's client raises."""
    page = f"{ENDPOINT}/{name}"
    if isinstance(error, HFValidationError):
        return f"{name!r} is no name of a model: give OWNER/NAME as the hub has it, OWNER/NAME@REVISION, or a folder"
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: accept its conditions at {page}, and set HF_TOKEN to your token, or `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"{name} has no revision {revision!r}: give a branch, a tag or a commit of {page}/commits"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403, 404):
        if "Invalid credentials" in str(error):
            return "the hub does not know your token: set HF_TOKEN anew, or `hf auth login`, or `hf auth logout`"
        return f"the hub has no model {name}, or it is private: look for it at {page}; for a private one set HF_TOKEN"
    if isinstance(error, LocalEntryNotFoundError | DryRunError):
        wanted = f"{name}@{revision}" if revision else name
        why = "HF_HUB_OFFLINE is set" if is_offline_mode() else "the hub can't be reached"
        return f"{wanted} is not in the cache ({HF_HUB_CACHE}), and {why}: fetch it with a network, or give a folder"
    return f"{name} can't be fetched ({_first_line(error)}): try again, or give a folder"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m model.clip.fetch", description=__doc__.split("\n\n")[0])
    parser.add_argument("source", help="OWNER/NAME of the hub, OWNER/NAME@REVISION, or a folder; open_clip's, too")
    parser.add_argument("directory", type=Path, help="a new folder")
    arguments = parser.parse_args()
    logging.set_verbosity(40)  # errors, which are told below
    try:
        print(fetch(arguments.source, arguments.directory))
    except (FetchError, OSError) as error:
        sys.exit(f"fetch: {error}")


if __name__ == "__main__":
    main()
