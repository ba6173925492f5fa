"""A Hugging Face hub with one CLIP in it, as others publish theirs: its weights are a pickle, and nothing is ours."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file

MODEL_ID, REVISION = "somebody/tiny-clip", "0123456789abcdef0123456789abcdef01234567"


def publish(checkpoint: Path, repository: Path) -> None:
    """Lay a checkpoint out as a repository of the hub."""
    shutil.copytree(checkpoint, repository, ignore=shutil.ignore_patterns("wordsight.json"))
    weights = repository / "model.safetensors"
    torch.save(load_file(weights), repository / "pytorch_model.bin")
    weights.unlink()


@contextmanager
def serving(repository: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """A hub that serves the folder, until the block ends. Yields its URL; port 0 is any free one."""
    with ThreadingHTTPServer((host, port), partial(Hub, repository)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


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
