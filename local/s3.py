"""What SageMaker does with S3 around a container: folders come down before it starts, go up while it runs and after."""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

S3Client = Any
"""boto3's clients are made at run time and have no static type."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key); raises ValueError."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not an S3 URI. It must look like s3://bucket/prefix.")
    return bucket, key


def keys_under(s3: S3Client, uri: str) -> list[str]:
    """Every key that begins with the URI's key, without the empty "folder" objects a console makes."""
    bucket, prefix = split_s3_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if not item["Key"].endswith("/")]


def download_prefix(s3: S3Client, uri: str, directory: Path) -> int:
    """Copy every object under `uri` into `directory`, keeping relative paths; returns how many there were."""
    bucket, prefix = split_s3_uri(uri)
    folder = prefix[: prefix.rfind("/") + 1]
    keys = keys_under(s3, uri)
    _download(s3, bucket, folder, (key.removeprefix(folder) for key in keys), directory)
    return len(keys)


def download_manifest(s3: S3Client, uri: str, directory: Path) -> int:
    """Copy the objects that a ManifestFile lists, and nothing else; returns how many there were.

    The manifest is [{"prefix": "s3://bucket/…"}, "rest of a key", …]; a file's path is that rest. Raises ValueError for
    any other, FileNotFoundError for an object that is not there.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    bucket, key = split_s3_uri(uri)
    manifest = json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
    match manifest:
        case [{"prefix": str(prefix)}, *names] if names and all(isinstance(name, str) for name in names):
            listed_bucket, folder = split_s3_uri(prefix)
        case _:
            raise ValueError(f'ClientError: {uri} is no manifest: it must be [{{"prefix": "s3://…"}}, "key", …].')
    _download(s3, listed_bucket, folder, names, directory)
    return len(names)


def _download(s3: S3Client, bucket: str, folder: str, names: Iterable[str], directory: Path) -> None:
    for name in names:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            s3.download_file(bucket, folder + name, str(target))
        except ClientError as error:
            raise FileNotFoundError(f"ClientError: s3://{bucket}/{folder}{name} cannot be read: {error}") from None


class Upload:
    """Copies a folder to S3, and when asked again only what changed since."""

    def __init__(self, s3: S3Client, directory: Path, uri: str) -> None:
        self._s3, self._directory, self._uri = s3, directory, uri.rstrip("/") + "/"
        self._sent: dict[Path, tuple[int, int]] = {}

    def send(self) -> None:
        """Upload new and changed files. A file that the program removes meanwhile is skipped."""
        bucket, prefix = split_s3_uri(self._uri)
        for path in sorted(self._directory.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                version = _version(path)
                if path.is_dir() or self._sent.get(path) == version:
                    continue
                self._s3.upload_file(str(path), bucket, prefix + path.relative_to(self._directory).as_posix())
                self._sent[path] = version

    def mark_all_sent(self) -> None:
        """What is in the folder now came from S3 already."""
        self._sent = {path: _version(path) for path in self._directory.rglob("*")}


def _version(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size
