"""A checkpoint's folder out of S3, where nobody else brings it: to an endpoint SageMaker does."""

import shutil
import tempfile
from pathlib import Path

import boto3


class NoFolder(Exception):
    """There is nothing to serve. The text says where it was looked for."""


def fetch_folder(uri: str) -> Path:
    """The files directly in `s3://bucket/folder/`, in a folder below the one for temporary files, which needs room for
    them. Whether they are a checkpoint is seen by loading it.

    Raises NoFolder, and what botocore raises if they can't be read.
    """
    bucket, _, folder = uri.removeprefix("s3://").partition("/")
    prefix = f"{folder.rstrip('/')}/"
    directory = Path(tempfile.gettempdir()) / "wordsight-model"
    shutil.rmtree(directory, ignore_errors=True)  # of a start that was broken off
    directory.mkdir()
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ()) if each["Key"] != prefix]
    if not keys:
        raise NoFolder(f"MODEL_S3_URI is {uri!r}, and no file lies there: it names a checkpoint's folder")
    for key in keys:
        s3.download_file(bucket, key, str(directory / key.removeprefix(prefix)))  # large ones in parts, at once
    return directory
