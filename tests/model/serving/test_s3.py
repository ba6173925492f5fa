"""A checkpoint's folder comes out of S3 as it lies there."""

import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from model.serving.s3 import NoFolder, fetch_folder

ACCESS_KEY, TOKEN = "AKIATESTING", "of-a-role"
ENTRY = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>not authorized to perform s3:GetObject</Message></Error>"


class Bucket(ThreadingHTTPServer):
    """S3 over HTTP with one bucket, `artifacts`: ListObjectsV2 and GetObject, for requests that are signed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.objects = dict[str, bytes]()
        self.denied = set[str]()

    def listed(self, prefix: str, delimiter: str = "", after: int = 0) -> bytes:
        """One page, of one key, as S3 says it."""
        keys = [key for key in self.objects if key.startswith(prefix)]
        own = [key for key in keys if not delimiter or delimiter not in key.removeprefix(prefix)]
        entries = "".join(ENTRY.format(key, len(self.objects[key])) for key in own[after : after + 1])
        more = after + 1 < len(own)
        told = f"<NextContinuationToken>{after + 1}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{truncated}{told}{entries}</ListBucketResult>".encode()


class _Requests(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        assert f"Credential={ACCESS_KEY}/" in self.headers["authorization"]
        assert self.headers["x-amz-security-token"] == TOKEN
        address = urlsplit(self.path)
        key = unquote(address.path).removeprefix("/artifacts").removeprefix("/")
        status = HTTPStatus.FORBIDDEN if key in self.server.denied else HTTPStatus.OK
        if not key:
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            after = int(asked.get("continuation-token", 0))
            content = self.server.listed(asked["prefix"], asked.get("delimiter", ""), after)
        else:
            content = self.server.objects[key] if status == HTTPStatus.OK else DENIED
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("etag", '"1"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    with Bucket() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        yield server
        server.shutdown()


@pytest.mark.parametrize("uri", ["s3://artifacts/models/one/", "s3://artifacts/models/one"])
def test_the_files_of_the_folder_are_fetched_and_no_others(bucket: Bucket, uri: str, tmp_path: Path) -> None:
    weights = bytes(range(256)) * 100_000
    bucket.objects |= {"models/one/": b"", "models/one/config.json": b"{}", "models/one/model.safetensors": weights}
    bucket.objects |= {"models/one/report/curve.svg": b"<svg/>", "models/one-b/config.json": b"another"}
    directory = fetch_folder(uri)
    assert directory.parent == tmp_path
    found = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert found == {"config.json": b"{}", "model.safetensors": weights}


def test_what_a_start_has_left_that_was_broken_off_is_not_served(bucket: Bucket) -> None:
    bucket.objects |= {"old/config.json": b"old", "old/golden.jsonl": b"", "new/config.json": b"new"}
    fetch_folder("s3://artifacts/old/")
    assert {path.name: path.read_bytes() for path in fetch_folder("s3://artifacts/new/").iterdir()} == {
        "config.json": b"new"
    }


@pytest.mark.parametrize("objects", [{}, {"none/": b""}])
def test_a_folder_without_files_is_named(bucket: Bucket, objects: dict[str, bytes]) -> None:
    bucket.objects |= objects
    with pytest.raises(NoFolder, match="MODEL_S3_URI is 's3://artifacts/none/', and no file lies there"):
        fetch_folder("s3://artifacts/none/")


def test_what_may_not_be_read_is_said_by_s3(bucket: Bucket) -> None:
    bucket.objects["one/config.json"] = b"{}"
    bucket.denied.add("one/config.json")
    with pytest.raises(NoFolder, match=r"is 's3://artifacts/one/', and can't be read: .*s3:GetObject") as told:
        fetch_folder("s3://artifacts/one/")
    assert "Debug source" not in str(told.value)
