"""The base checkpoint comes from a hub, whole, and never as a pickle that could run code."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from safetensors.torch import load_file

from model.clip.checkpoint import load_checkpoint
from model.clip.fetch import convert_weights

REPOSITORY_ROOT = Path(__file__).parents[3]
MODEL_ID, REVISION = "somebody/tiny-clip", "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The two routes of the Hugging Face hub that a download needs, over the files of a folder."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == f"/api/models/{MODEL_ID}/revision/{REVISION}":
            files = [{"rfilename": each.name} for each in self.folder.iterdir()]
            return self._send(json.dumps({"id": MODEL_ID, "sha": REVISION, "siblings": files}).encode())
        if path.startswith(f"/api/models/{MODEL_ID}/tree/{REVISION}"):
            listed = [
                {"type": "file", "path": each.name, "size": each.stat().st_size, "oid": each.name}
                for each in self.folder.iterdir()
            ]
            return self._send(json.dumps(listed).encode())
        file = self.folder / path.removeprefix(f"/{MODEL_ID}/resolve/{REVISION}/")
        if path.startswith(f"/{MODEL_ID}/resolve/{REVISION}/") and file.is_file():
            return self._send(file.read_bytes(), {"x-repo-commit": REVISION, "etag": f'"{file.name}"'})
        self.send_error(404)

    def _send(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def repository(checkpoint_dir: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint as others publish theirs: without our metadata, with something nobody needs."""
    folder = tmp_path / "repository"
    shutil.copytree(checkpoint_dir, folder)
    (folder / "wordsight.json").unlink()
    (folder / "tf_model.h5").write_bytes(bytes(100))
    return folder


@pytest.fixture
def hub_url(repository: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, repository))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(hub_url: str, directory: Path, home: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub_url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    subprocess.run(
        [sys.executable, "-m", "model.clip.fetch", MODEL_ID, REVISION, str(directory)],
        cwd=REPOSITORY_ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def pickle_weights(repository: Path) -> None:
    torch.save(load_file(repository / "model.safetensors"), repository / "pytorch_model.bin")


def test_a_revision_that_holds_a_pickle_becomes_a_safetensors_checkpoint_named_after_it(
    repository: Path, hub_url: str, checkpoint_dir: Path, tmp_path: Path
) -> None:
    pickle_weights(repository)
    (repository / "model.safetensors").unlink()
    fetch(hub_url, tmp_path / "base", tmp_path / "home")
    fetched, original = load_checkpoint(tmp_path / "base"), load_checkpoint(checkpoint_dir)
    assert fetched.metadata.version == "somebody/tiny-clip@0123456789ab"
    for name, weight in original.model.state_dict().items():
        assert torch.equal(fetched.model.state_dict()[name], weight)
    assert not (tmp_path / "base" / "pytorch_model.bin").exists()
    assert not (tmp_path / "base" / "tf_model.h5").exists()


@pytest.mark.slow
def test_a_revision_with_safetensors_is_taken_as_it_is(repository: Path, hub_url: str, tmp_path: Path) -> None:
    pickle_weights(repository)
    fetch(hub_url, tmp_path / "base", tmp_path / "home")
    fetched = tmp_path / "base" / "model.safetensors"
    assert fetched.read_bytes() == (repository / "model.safetensors").read_bytes()
    assert not (tmp_path / "base" / "pytorch_model.bin").exists()


def test_a_pickle_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    torch.save({"weight": print}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        convert_weights(tmp_path)
