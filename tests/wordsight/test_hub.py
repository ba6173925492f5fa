import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.servers import Quiet, serving
from wordsight.api import CommandError
from wordsight.hub import ENDPOINT_VARIABLE, TOKEN_VARIABLE, Hub, ModelId

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = ModelId("somebody/tiny-clip", "main")


@dataclass
class Repository:
    """What the hub has, what it was asked, and how many bytes of an answer it sends before the line breaks."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    cut_at: int | None = None
    lies: bool = False


@pytest.fixture
def repository() -> Iterator[Repository]:
    has = Repository(files={"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40, "README.md": b"# tiny"})

    class Answers(Quiet):
        """The hub's API, and a download that it sends on to another host of its own."""

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            has.asked.append((path, self.headers["range"], self.headers["authorization"]))
            if path == f"/api/models/{MODEL.id}/revision/main":
                return self.send(200, json.dumps({"sha": COMMIT, "siblings": [*map(self.said, has.files)]}).encode())
            if path.startswith(f"/{MODEL.id}/resolve/{COMMIT}/"):
                self.send_response(302)
                name = path.rpartition("/")[2]
                elsewhere = f"http://localhost:{urlsplit(has.url).port}" if len(has.files[name]) > 1000 else ""
                self.send_header("location", f"{elsewhere}/cdn/{name}")
                self.send_header("content-length", "0")
                return self.end_headers()
            if path.startswith("/cdn/"):
                return self.file(has.files[path.removeprefix("/cdn/")])
            self.send(404, b"{}")

        def said(self, name: str) -> dict[str, object]:
            content = has.files[name]
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            large = {"lfs": {"sha256": hashlib.sha256(content).hexdigest()}} if len(content) > 1000 else {}
            return {"rfilename": name, "size": len(content), "blobId": blob, **large}

        def file(self, content: bytes) -> None:
            first = int((self.headers["range"] or "bytes=0-")[6:-1])
            content = content[first:]
            if has.lies:
                content = bytes(len(content))
            cut, has.cut_at = has.cut_at, None
            self.send(206 if first else 200, content, cut)

        def send(self, status: int, content: bytes, cut: int | None = None) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:cut])

    with serving(Answers) as port:
        has.url = f"http://127.0.0.1:{port}"
        yield has


def hub(repository: Repository, **environ: str) -> Hub:
    return Hub({ENDPOINT_VARIABLE: repository.url, **environ})


def fetch(repository: Repository, folder: Path) -> None:
    found = hub(repository).find(MODEL)
    hub(repository).download(found, folder, lambda *_: None)


@pytest.mark.parametrize(
    "text, model",
    [
        ("openai/clip-vit-base-patch32", ("openai/clip-vit-base-patch32", "main")),
        ("a/b@refs/pr/3", ("a/b", "refs/pr/3")),
        ("a/b@", None),
        ("../b", None),
        ("a/b/c", None),
        ("folder", None),
    ],
)
def test_a_model_of_a_hub_has_an_owner_and_perhaps_a_revision(text: str, model: tuple[str, str] | None) -> None:
    assert ModelId.of(text) == model


def test_a_revision_is_fetched_at_its_commit_and_named_after_it(repository: Repository, tmp_path: Path) -> None:
    repository.files |= {"tf_model.h5": b"1", "pytorch_model.bin": b"1", "open_clip_model.safetensors": b"1"}
    fetch(repository, tmp_path)
    names = {"README.md", "config.json", "model.safetensors", "wordsight.json"}
    assert {each.name for each in tmp_path.iterdir()} == names
    assert (tmp_path / "model.safetensors").read_bytes() == repository.files["model.safetensors"]
    assert json.loads((tmp_path / "wordsight.json").read_text()) == {"version": f"{MODEL.id}@{COMMIT[:12]}"}


def test_what_was_cut_off_goes_on_where_it_was(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"# tiny")
    repository.cut_at = 5000
    fetch(repository, tmp_path)
    asked = [(path, part) for path, part, _ in repository.asked if path.startswith("/cdn/")]
    assert asked == [("/cdn/model.safetensors", None), ("/cdn/model.safetensors", "bytes=5000-")]
    assert (tmp_path / "model.safetensors").read_bytes() == repository.files["model.safetensors"]


def test_a_file_that_is_not_what_the_hub_says_is_not_kept(repository: Repository, tmp_path: Path) -> None:
    repository.lies = True
    with pytest.raises(CommandError, match="its content is not what the hub's hash says"):
        fetch(repository, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_token_is_for_the_hub_and_not_for_where_it_sends_us(repository: Repository, tmp_path: Path) -> None:
    mine = hub(repository, **{TOKEN_VARIABLE: "secret"})
    mine.download(mine.find(MODEL), tmp_path, lambda *_: None)
    untold = [path for path, _, authorization in repository.asked if authorization != "Bearer secret"]
    assert untold == ["/cdn/model.safetensors"], "which is on another host"


def test_pickled_weights_are_not_fetched_but_told_what_to_do_with(repository: Repository) -> None:
    repository.files["pytorch_model.bin"] = repository.files.pop("model.safetensors")
    with pytest.raises(
        CommandError,
        match=r"\(pytorch_model.bin\).*model\.clip\.fetch \S+@[0-9a-f]{40} FOLDER`.*wordsight models add FOLDER",
    ):
        hub(repository).find(MODEL)


def test_what_is_no_model_or_no_hub_is_said(repository: Repository) -> None:
    with pytest.raises(CommandError, match=r"has no model 'somebody/else' with a revision 'main'.*set HF_TOKEN"):
        hub(repository).find(ModelId("somebody/else", "main"))
    with pytest.raises(CommandError, match=r"nothing answers at http://127\.0\.0\.1:1.*give a folder"):
        Hub({ENDPOINT_VARIABLE: "http://127.0.0.1:1"}).find(MODEL)
    with pytest.raises(CommandError, match="allowed is an address"):
        Hub({ENDPOINT_VARIABLE: "file:///etc"}).find(MODEL)
