"""A checkpoint's folder out of S3, where nobody else brings it: to an endpoint SageMaker does."""

import shutil
import tempfile
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store


class NoFolder(Exception):
    """There is nothing to serve. The text says where it was looked for, and why it could not be read if so."""


def fetch_folder(uri: str) -> Path:
    """The files directly in `s3://bucket/folder/`, in a folder below the one for temporary files, which needs room for
    them. Whether they are a checkpoint is seen by loading it. Region, credentials and where S3 is come from the
    environment, by AWS's names.

    Raises NoFolder.
    """
    directory = Path(tempfile.gettempdir()) / "wordsight-model"
    shutil.rmtree(directory, ignore_errors=True)  # of a start that was broken off
    directory.mkdir()
    try:
        _fetch(uri, directory)
    except BaseError as error:
        reason = str(error).partition("\n\nDebug source")[0]  # which is the client's own, over many lines
        raise NoFolder(f"MODEL_S3_URI is {uri!r}, and can't be read: {reason}") from error
    return directory


def _fetch(uri: str, directory: Path) -> None:
    bucket, _, folder = uri.removeprefix("s3://").partition("/")
    store = S3Store(bucket, prefix=folder.rstrip("/"))
    paths = [each["path"] for each in obstore.list_with_delimiter(store)["objects"]]
    names = [path for path in paths if path]  # a console keeps a folder by an object of its name
    if not names:
        raise NoFolder(f"MODEL_S3_URI is {uri!r}, and no file lies there: it names a checkpoint's folder")
    for name in names:
        with (directory / name).open("wb") as file:
            file.writelines(obstore.get(store, name))
