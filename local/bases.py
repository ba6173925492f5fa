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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from local.settings import LocalSettings

EXAMPLE = "openai/clip-vit-base-patch32"
CONFIGURATIONS = ("config.json", "open_clip_config.json")
"""What a checkpoint's folder holds one of."""
METADATA = "wordsight.json"
VERSION_CHARS = 12
"""Of a revision, in what a model is called."""
REPOSITORY = Path(__file__).parents[1]
DEPLOYED = "deployed"


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
    """The checkpoint that `model` names, fetched or converted if need be. `environ` leads to the hub.

    Raises LocalError; where the program that fetches has said why it can't, SystemExit.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _from_folder(folder.resolve(), environ)
    kept = _kept(environ) / re.sub(r"[^\w.@-]+", "--", model, flags=re.ASCII)
    model_id, _, revision = _fetch(model, kept, environ).partition("@")
    return Base(model_id, revision, kept)


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
    """One that says what it is called is served from where it is. Any other is given a name in a folder that is kept,
    where links lead to its files, or converted copies lie if its weights are no safetensors.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    # another state of the files is another revision, so that the endpoint loads them anew
    revision = hashlib.sha1(repr((folder, state)).encode(), usedforsecurity=False).hexdigest()
    name = re.sub(r"[^\w.-]+", "-", folder.name, flags=re.ASCII) or "model"
    base = Base(f"folder/{name}", revision, folder)
    is_safe = any(path.suffix == ".safetensors" for path in files)
    is_readable = is_safe and any(path.name in CONFIGURATIONS for path in files)
    if is_readable and (folder / METADATA).is_file():
        return base
    kept = _kept(environ) / f"{name}-{revision}"
    if not (kept / METADATA).is_file():  # it comes last
        shutil.rmtree(kept, ignore_errors=True)
        if is_readable:
            kept.mkdir(parents=True)
            for path in files:
                (kept / path.name).symlink_to(path)
        else:
            _fetch(str(folder), kept, environ)
        if not (kept / METADATA).is_file():  # or each server would call it by the digest of all its weights
            (kept / METADATA).write_text(json.dumps({"version": f"{base.id}@{revision[:VERSION_CHARS]}"}))
    return replace(base, folder=kept)


def _kept(environ: Mapping[str, str]) -> Path:
    """Beside the hub's own cache, wherever that is."""
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "wordsight"


def _fetch(source: str, directory: Path, environ: Mapping[str, str]) -> str:
    """What the program that fetches for an image says it has fetched. It shows how far it is, and why it can't."""
    command = [sys.executable, "-m", "model.clip.fetch", source, str(directory)]
    done = subprocess.run(command, cwd=REPOSITORY, env=dict(environ), stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.strip().splitlines()[-1]
