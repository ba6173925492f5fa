"""A checkpoint's folder out of S3, where nobody else brings it: to an endpoint SageMaker does."""

import shutil
import tempfile
from pathlib import Path

import obstore
from obstore.store import S3Store


class NoFolder(Exception):
    """There is nothing to serve. The text says where it was looked for."""


def fetch_folder(uri: str) -> Path:
    """The files directly in `s3://bucket/folder/`, in a folder below the one for temporary files, which needs room for
    them. Whether they are a checkpoint is seen by loading it. Region, credentials and where S3 is come from the
    environment, by AWS's names.

    Raises NoFolder, and obstore.exceptions.BaseError if they can't be read.
    """
    bucket, _, folder = uri.removeprefix("s3://").partition("/")
    directory = Path(tempfile.gettempdir()) / "wordsight-model"
    shutil.rmtree(directory, ignore_errors=True)  # of a start that was broken off
    directory.mkdir()
    store = S3Store(bucket, prefix=folder.rstrip("/"))
    paths = [each["path"] for each in obstore.list_with_delimiter(store)["objects"]]
    names = [path for path in paths if path]  # a console keeps a folder by an object of its name
    if not names:
        raise NoFolder(f"MODEL_S3_URI is {uri!r}, and no file lies there: it names a checkpoint's folder")
    for name in names:
        with (directory / name).open("wb") as file:
            file.writelines(obstore.get(store, name))
    return directory
