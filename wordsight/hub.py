"""Checkpoints of a Hugging Face hub, downloaded by its public API: https://huggingface.co/docs/hub/api

Only files that run no code are taken, each is checked against the hash that the hub has of it, and what was cut off
goes on where it was.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, NamedTuple, Self
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from contract.models import METADATA, WEIGHTS
from contract.problems import shorten
from contract.uploads import CHECKPOINT_SUFFIXES
from wordsight.api import CommandError

ENDPOINT_VARIABLE, TOKEN_VARIABLE = "HF_ENDPOINT", "HF_TOKEN"
PUBLIC = "https://huggingface.co"
MAX_ATTEMPTS = 3
_TIMEOUT_S = 60
_READ_BYTES = 1 << 20
_WEIGHTS_SUFFIX = ".safetensors"
_AUTHORIZATION = "Authorization"  # as urllib spells it
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")

# https://huggingface.co/docs/huggingface_hub/package_reference/utilities#huggingface_hub.utils.validate_repo_id
_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(@(?P<revision>[^@\s]{1,200}))?")

Show = Callable[[str, int, int], None]
"""Is told of a file how many of its bytes are there, and how many there are."""


class ModelId(NamedTuple):
    """`openai/clip-vit-base-patch32`, or with a branch, a tag or a commit behind an @."""

    id: str
    revision: str

    @classmethod
    def of(cls, text: str) -> Self | None:
        """What the text names, or None if that is no model of a hub."""
        found = _ID.fullmatch(text)
        return cls(found["id"], found["revision"] or "main") if found else None


class HubFile(NamedTuple):
    """A file of a revision; `sha256` or, of a small one, `blob`, git's hash of it."""

    name: str
    size_bytes: int
    sha256: str | None
    blob: str | None


class Revision(NamedTuple):
    """One commit of a model, and the files of it that make a checkpoint."""

    id: str
    commit: str
    files: list[HubFile]


class Hub:
    """One hub, as the environment names it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._url = (environ.get(ENDPOINT_VARIABLE) or PUBLIC).rstrip("/")
        self._token = environ.get(TOKEN_VARIABLE)

    def find(self, model: ModelId) -> Revision:
        """The revision as it is now. Raises CommandError if there is none, or none whose weights are safetensors."""
        path = f"/api/models/{model.id}/revision/{quote(model.revision, safe='')}?blobs=true"
        try:
            with self._open(path) as response:
                said = json.loads(response.read())
            files = [_file(each) for each in said["siblings"] if "/" not in each["rfilename"]]
            revision = Revision(model.id, said["sha"], files)
        except HTTPError as error:
            raise CommandError(self._refusal(model, error)) from None
        except (ValueError, KeyError, TypeError):
            raise CommandError(
                f"{self._url} does not answer as a Hugging Face hub does: set {ENDPOINT_VARIABLE}"
            ) from None
        return revision._replace(files=_of_a_checkpoint(revision))

    def download(self, revision: Revision, folder: Path, show: Show) -> None:
        """Its files into a folder, whose complete ones are not fetched again. Raises CommandError."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in revision.files:
            if not (folder / file.name).is_file():
                self._fetch(revision, file, folder, show)
        if not (folder / METADATA).is_file():
            (folder / METADATA).write_text(json.dumps({"version": f"{revision.id}@{revision.commit[:12]}"}) + "\n")

    def _fetch(self, revision: Revision, file: HubFile, folder: Path, show: Show) -> None:
        part = folder / f"{file.name}.part"
        path = f"/{revision.id}/resolve/{revision.commit}/{quote(file.name)}"
        why = ""
        for _ in range(MAX_ATTEMPTS):
            try:
                self._append(path, file, part, show)
            except HTTPError as error:
                why = f"{error.code} {error.reason}"
                if error.code < 500 and error.code not in (408, 429):
                    break
            except (URLError, HTTPException, OSError) as error:
                why = str(error)
            else:
                if part.stat().st_size < file.size_bytes:
                    why = "the connection was cut off"
                    continue
                if _is_whole(part, file):
                    part.rename(folder / file.name)
                    return
                why = "its content is not what the hub's hash says"
                part.unlink()
        raise CommandError(f"{file.name} of {revision.id} can't be fetched: {why}. Run it again to go on where it was")

    def _append(self, path: str, file: HubFile, part: Path, show: Show) -> None:
        there = part.stat().st_size if part.is_file() else 0
        if there > file.size_bytes:
            part.unlink()
            there = 0
        if there == file.size_bytes and there:
            return
        with self._open(path, {"range": f"bytes={there}-"} if there else {}) as response:
            if there and response.status != 206:  # a hub that knows no ranges begins anew
                there = 0
            with part.open("ab" if there else "wb") as written:
                while content := response.read(_READ_BYTES):
                    written.write(content)
                    there += len(content)
                    show(file.name, there, file.size_bytes)
                    if there > file.size_bytes:
                        return

    def _open(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        if not self._url.startswith(("http://", "https://")):
            raise CommandError(f"{ENDPOINT_VARIABLE} is {self._url!r}, allowed is an address of https:// or http://")
        request = Request(self._url + path, headers={"user-agent": "wordsight", **(headers or {})})  # noqa: S310
        if self._token:
            request.add_unredirected_header(_AUTHORIZATION, f"Bearer {self._token}")
        try:
            return build_opener(_Redirects).open(request, timeout=_TIMEOUT_S)
        except HTTPError:
            raise
        except (URLError, HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise CommandError(
                f"nothing answers at {self._url}: {reason}. Without a network, give a folder with the checkpoint"
            ) from None

    def _refusal(self, model: ModelId, error: HTTPError) -> str:
        if error.code in (401, 403, 404):
            return (
                f"{self._url} has no model {model.id!r} with a revision {model.revision!r} that may be read here: "
                f"check both names; for one that asks for an account set {TOKEN_VARIABLE}"
            )
        return f"{self._url} answers {error.code} {error.reason}: try again later"


class _Redirects(HTTPRedirectHandler):
    """Follows the hub to where its files are; the token stays with the hub itself."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get(_AUTHORIZATION)
        if following and token and urlsplit(newurl)[:2] == urlsplit(req.full_url)[:2]:
            following.add_unredirected_header(_AUTHORIZATION, token)
        return following


def _file(said: Mapping[str, Any]) -> HubFile:
    large = said.get("lfs") or {}
    return HubFile(str(said["rfilename"]), int(said["size"]), large.get("sha256"), said.get("blobId"))


def _of_a_checkpoint(revision: Revision) -> list[HubFile]:
    """Those to download, the small ones first. Raises CommandError if its weights are not safetensors."""
    names = {each.name for each in revision.files}
    if not any(name.endswith(_WEIGHTS_SUFFIX) for name in names):
        raise CommandError(without_safetensors(f"{revision.id}@{revision.commit}", names))
    own = any(name in names for name in WEIGHTS)

    def wanted(name: str) -> bool:
        if name.endswith(_WEIGHTS_SUFFIX):  # of two forms of the same weights, transformers'
            return not own or name.startswith(WEIGHTS[0].removesuffix(_WEIGHTS_SUFFIX))
        return name.endswith(CHECKPOINT_SUFFIXES)

    return sorted((each for each in revision.files if wanted(each.name)), key=lambda each: each.size_bytes)


def without_safetensors(where: str, names: "set[str]") -> str:
    """What is said of a checkpoint whose weights are not safetensors."""
    pickled = sorted(name for name in names if name.endswith(_PICKLES))
    if not pickled:
        return f"{where} has no weights: a file that ends with {_WEIGHTS_SUFFIX} is needed"
    return (
        f"the weights of {where} are pickled ({shorten(pickled[0])}), and reading a pickle may run code that is in it. "
        f"In the repository, `python -m model.clip.fetch {where} FOLDER` reads them without and writes safetensors; "
        "then: wordsight models add FOLDER"
    )


def _is_whole(path: Path, file: HubFile) -> bool:
    with path.open("rb") as content:
        if file.sha256:
            return _digest(content, hashlib.sha256()) == file.sha256
        if file.blob:  # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
            return _digest(content, hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)) == file.blob
    return False


def _digest(content: IO[bytes], digest: Any) -> str:
    while read := content.read(_READ_BYTES):
        digest.update(read)
    return str(digest.hexdigest())
