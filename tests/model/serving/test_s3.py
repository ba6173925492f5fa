"""A checkpoint's folder comes out of S3 as it lies there."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from model.serving.s3 import NoFolder, fetch_folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="artifacts")
        yield "artifacts"


def put(bucket: str, **objects: bytes) -> None:
    for key, content in objects.items():
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


@pytest.mark.parametrize("uri", ["s3://artifacts/models/one/", "s3://artifacts/models/one"])
def test_the_files_of_the_folder_are_fetched_and_no_others(bucket: str, uri: str, tmp_path: Path) -> None:
    put(bucket, **{"models/one/": b"", "models/one/config.json": b"{}", "models/one/model.safetensors": b"\1\2"})
    put(bucket, **{"models/one/report/curve.svg": b"<svg/>", "models/one-b/config.json": b"another"})
    directory = fetch_folder(uri)
    assert directory.parent == tmp_path
    found = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert found == {"config.json": b"{}", "model.safetensors": b"\1\2"}


def test_what_a_start_has_left_that_was_broken_off_is_not_served(bucket: str) -> None:
    put(bucket, **{"old/config.json": b"old", "old/golden.jsonl": b"", "new/config.json": b"new"})
    fetch_folder("s3://artifacts/old/")
    assert {path.name: path.read_bytes() for path in fetch_folder("s3://artifacts/new/").iterdir()} == {
        "config.json": b"new"
    }


def test_a_folder_without_files_is_named(bucket: str) -> None:
    with pytest.raises(NoFolder, match="MODEL_S3_URI is 's3://artifacts/none/', and no file lies there"):
        fetch_folder("s3://artifacts/none/")
