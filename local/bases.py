"""The checkpoint that stands in an image for the one it is built with: from the Hugging Face hub, or a folder.

    make local MODEL=openai/clip-vit-base-patch32      also with @ and a branch, a tag or a commit
    make local MODEL=~/my-clip

What comes from the hub is kept beside the hub's own cache, which HF_HOME names, so that every local system has it and
`make local-destroy` leaves it. The app is synthesized with `model_id` and `model_revision`, as for AWS: the images have
other build arguments then, so the endpoint gets a new container beside the old one.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local.settings import LocalError, LocalSettings

EXAMPLE = "openai/clip-vit-base-patch32"
CONFIGURATIONS = ("config.json", "open_clip_config.json")
"""What a folder must hold one of, to be a checkpoint."""
PICKLED = "pytorch_model.bin"
"""Weights as older checkpoints have them."""
TEXTS = (".json", ".txt", ".md")
REPOSITORY = Path(__file__).parents[1]
DEPLOYED = "deployed"
_ON_THE_HUB = re.compile(r"(?:https?://[^/]+/)?([\w.-]+/[\w.-]+?)(?:(?:@|/tree/)([\w./-]+))?/?", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Base:
    """A checkpoint's folder, and what a stage's `model_id` and `model_revision` call it."""

    id: str
    revision: str
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.id}@{self.revision}"

    @property
    def context(self) -> list[str]:
        """For `cdk synth`."""
        return [f"model_id={self.id}", f"model_revision={self.revision}"]


def prepare(model: str, environ: Mapping[str, str]) -> Base:
    """The checkpoint that `model` names, fetched if need be. `environ` leads to the hub. Raises LocalError."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _from_folder(folder.resolve(), environ)
    named = _ON_THE_HUB.fullmatch(model)
    if folder.exists() or model.startswith((".", "/", "~")) or not named:
        what = "a file" if folder.exists() else "neither a folder nor a name of the Hugging Face hub's"
        raise LocalError(f"MODEL is {model!r}, which is {what}: give a checkpoint's folder, or a name like {EXAMPLE}.")
    return _from_hub(named[1], named[2] or "", environ)


def register(settings: LocalSettings, base: Base | None) -> bool:
    """Tell the emulator what the images will be built with (None: the shipped one); whether that is another than in
    what is deployed.
    """
    known = _read(settings.bases)
    if base:
        settings.bases.write_text(json.dumps(known | {base.name: str(base.folder)}))
    return known.get(DEPLOYED, "") != (base.name if base else "")


def deployed(settings: LocalSettings, base: Base | None) -> None:
    """Write down that it is deployed."""
    settings.bases.write_text(json.dumps(_read(settings.bases) | {DEPLOYED: base.name if base else ""}))


def find_base(bases: Path, build_arguments: Mapping[str, str]) -> Path | None:
    """The folder for an image of these build arguments; None: the shipped one."""
    folder = _read(bases).get(f"{build_arguments.get('MODEL_ID')}@{build_arguments.get('MODEL_REVISION')}")
    return Path(folder) if folder else None


def _read(bases: Path) -> dict[str, str]:
    known: dict[str, str] = json.loads(bases.read_text()) if bases.exists() else {}
    return known


def _from_folder(folder: Path, environ: Mapping[str, str]) -> Base:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    names = [path.name for path in files]
    if not any(name in CONFIGURATIONS for name in names):
        found, needed = ", ".join(names[:5]) or "no file", " or ".join(CONFIGURATIONS)
        raise LocalError(
            f"{folder} is no checkpoint: it holds {found}, and {needed} is needed beside the weights. Give the folder "
            "as CLIPModel.save_pretrained writes it."
        )
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    # another state of the files is another revision, so that the endpoint loads them anew
    revision = hashlib.sha1(repr((folder, state)).encode(), usedforsecurity=False).hexdigest()
    name = re.sub(r"[^\w.-]+", "-", folder.name, flags=re.ASCII) or "model"
    base = Base(f"folder/{name}", revision, folder)
    if PICKLED in names and not any(each.endswith(".safetensors") for each in names):
        return _unpickled(base, files, environ)
    return base


def _unpickled(base: Base, files: Sequence[Path], environ: Mapping[str, str]) -> Base:
    """A copy whose weights are safetensors, which run no code: the containers load nothing else."""
    folder = _kept(base.id, environ) / base.revision
    if not folder.is_dir():
        print(f"Reading the weights of {base.folder}, once, without running code in them: as safetensors in {folder}")
        unfinished = folder.with_name(f"{base.revision}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for path in files:
            if path.name == PICKLED or path.suffix in TEXTS:
                shutil.copyfile(path, unfinished / path.name)
        program = "import pathlib, sys; from model.clip.fetch import convert_weights as c; c(pathlib.Path(sys.argv[1]))"
        command = [sys.executable, "-c", program, str(unfinished)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)  # noqa: S603 - ours
        if done.returncode:
            (why, *_) = [*reversed(done.stderr.strip().splitlines()), ""]
            raise LocalError(f"The weights in {base.folder / PICKLED} can't be read: {why}")
        unfinished.rename(folder)
    return replace(base, folder=folder)


def _kept(model_id: str, environ: Mapping[str, str]) -> Path:
    """Where the revisions of a model are kept, each in a folder of its name."""
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(environ.get("HF_HOME") or f"{cache}/huggingface").expanduser()
    return home / "wordsight" / model_id.replace("/", "--")


def _from_hub(model_id: str, revision: str, environ: Mapping[str, str]) -> Base:
    from operate.hub import HubError, UnreachableError, look_up  # loads an HTTP client, which nothing else here needs

    folders = _kept(model_id, environ)
    if _COMMIT.fullmatch(revision) and (folders / revision).is_dir():
        return Base(model_id, revision, folders / revision)
    try:
        found = look_up(model_id, revision, environ.get("HF_ENDPOINT"))
    except UnreachableError as error:
        commits = [each for each in folders.glob("*") if _COMMIT.fullmatch(each.name)]
        kept = sorted(commits, key=lambda each: each.stat().st_mtime)
        if revision or not kept:
            raise LocalError(f"{model_id} can't be fetched: {error}.") from None
        print(f"The newest {model_id} is not known, as {error}. Taking {kept[-1].name}, which was fetched before.")
        return Base(model_id, kept[-1].name, kept[-1])
    except HubError as error:
        raise LocalError(f"MODEL is {model_id!r}, and {error}.") from None
    folder = folders / found.revision
    if not folder.is_dir():
        size = f", {found.size_bytes / 1e6:,.0f} MB" if found.size_bytes else ""
        print(f"Fetching {model_id} at {found.revision[:12]}{size}, once, to {folder}")
        _fetch(model_id, found.revision, folder, environ)
    return Base(model_id, found.revision, folder)


def _fetch(model_id: str, revision: str, folder: Path, environ: Mapping[str, str]) -> None:
    """By the program that fetches for an image. An unfinished folder has another name, and is gone on with."""
    program = REPOSITORY / "model/clip/fetch.py"
    unfinished = folder.with_name(f"{revision}.part")
    unfinished.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(program), model_id, revision, str(unfinished)]
    if subprocess.run(command, env=dict(environ)).returncode:  # noqa: S603 - a program of ours
        raise LocalError(f"{model_id} was not fetched. The same command goes on from what has come.")
    unfinished.rename(folder)
