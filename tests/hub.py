"""A Hugging Face hub on this machine: the routes of its HTTP API that a download asks, over folders.

    with serving({"somebody/tiny-clip": Repository.of(folder)}) as hub:
        environment = {**os.environ, **hub.environment(tmp_path / "home")}

https://huggingface.co/docs/hub/api; what a refusal says is as huggingface.co was seen to say it.
"""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import load_file

from tests.servers import Quiet

MODEL_ID, REVISION = "somebody/tiny-clip", "0123456789abcdef0123456789abcdef01234567"
LARGE_FILES = (".safetensors", ".bin", ".h5")
"""What the hub keeps apart from git, and knows by its SHA-256."""


@dataclass(frozen=True)
class Repository:
    """A model's: a folder for each commit, and the names of commits, `main` among them."""

    commits: Mapping[str, Path]
    refs: Mapping[str, str]
    gated: bool = False
    damaged: frozenset[str] = frozenset()
    """Files of which another last byte arrives than was promised."""

    @classmethod
    def of(cls, folder: Path, revision: str = REVISION, **options: Any) -> Self:
        """With one commit, which is `main`."""
        return cls({revision: folder}, {"main": revision}, **options)


@dataclass
class Hub:
    """A hub that is up. `sent`: the files that it gave away, as `id/name`, in order."""

    url: str
    repositories: Mapping[str, Repository]
    sent: list[str] = field(default_factory=list)

    def environment(self, home: Path, **others: str) -> dict[str, str]:
        """What leads Hugging Face's programs here, with a cache of their own."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **others}


@contextmanager
def serving(repositories: Mapping[str, Repository], host: str = "127.0.0.1", port: int = 0) -> Iterator[Hub]:
    """A hub with these, until the block ends; port 0 is any free one."""
    hub = Hub("", repositories)
    with ThreadingHTTPServer((host, port), partial(_Handler, hub)) as server:
        hub.url = f"http://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def publish(checkpoint: Path, repository: Path) -> None:
    """Lay a checkpoint out as others publish theirs: its weights are a pickle, and nothing is ours."""
    shutil.copytree(checkpoint, repository, ignore=shutil.ignore_patterns("wordsight.json"))
    weights = repository / "model.safetensors"
    torch.save(load_file(weights), repository / "pytorch_model.bin")
    weights.unlink()


class _Refused(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}


class _Handler(Quiet):
    def __init__(self, hub: Hub, *arguments: object) -> None:
        self.hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        try:
            status, headers, body = self._answer(urlsplit(self.path).path)
        except _Refused as refused:
            status, headers, body = refused.status, refused.headers, b"{}"
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)/?)?", path):
            id, what, name = asked.groups()
            commit, files = self._commit(id, name or "main")
            if what == "tree":
                return _json([_entry(file) for file in files.values()])
            siblings = [{"rfilename": name} for name in files]
            return _json({"id": id, "sha": commit, "gated": self.hub.repositories[id].gated, "siblings": siblings})
        if asked := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            id, name, file = asked.groups()
            commit, files = self._commit(id, name)
            return self._file(id, commit, files, file)
        raise _Refused(404)

    def _commit(self, id: str, name: str) -> tuple[str, dict[str, Path]]:
        """A commit by one of its names, and its files."""
        if (repository := self.hub.repositories.get(id)) is None:
            raise _Refused(
                401, x_error_message="Invalid username or password."
            )  # so that nobody learns what is private
        commit = repository.refs.get(unquote(name), name)
        if (folder := repository.commits.get(commit)) is None:
            raise _Refused(404, x_error_code="RevisionNotFound", x_error_message=f"Invalid rev id: {name}")
        return commit, {file.name: file for file in sorted(folder.iterdir())}

    def _file(self, id: str, commit: str, files: dict[str, Path], name: str) -> tuple[int, dict[str, str], bytes]:
        repository = self.hub.repositories[id]
        if repository.gated:
            raise _Refused(401, x_error_code="GatedRepo", x_error_message=f"Access to model {id} is restricted.")
        if name not in files:
            raise _Refused(404, x_error_code="EntryNotFound", x_error_message="Entry not found", x_repo_commit=commit)
        entry, body = _entry(files[name]), files[name].read_bytes()
        headers = {"x-repo-commit": commit, "etag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            headers |= {"x-linked-etag": f'"{entry["lfs"]["oid"]}"', "x-linked-size": str(len(body))}
        if name in repository.damaged:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if self.command == "GET":
            self.hub.sent.append(f"{id}/{name}")
        return 200, headers, body


def _json(said: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, json.dumps(said).encode()


def _entry(file: Path) -> dict[str, Any]:
    """A file as the API lists it: by git's name of its content, and a large one by its SHA-256 too."""
    content = file.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": file.name, "size": len(content), "oid": oid}
    if file.suffix in LARGE_FILES:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry
