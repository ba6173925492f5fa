from pathlib import Path
from typing import Any

import pytest

from local.s3 import Upload, download_prefix, split_s3_uri


def test_a_prefix_comes_down_as_a_folder_without_console_made_folder_objects(s3: Any, tmp_path: Path) -> None:
    for key in ("sets/one/", "sets/one/manifest.jsonl", "sets/one/images/a", "sets/other"):
        s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    assert download_prefix(s3, "s3://bucket/sets/one/", tmp_path) == 2
    assert (tmp_path / "images/a").read_text() == "sets/one/images/a"
    assert (tmp_path / "manifest.jsonl").is_file()


def test_only_what_changed_goes_up_again(s3: Any, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/one").write_text("1")
    (folder / "two").write_text("2")
    upload = Upload(s3, folder, "s3://bucket/checkpoints/job")
    upload.mark_all_sent()
    (folder / "two").write_text("two")
    upload.send()
    listing = s3.list_objects_v2(Bucket="bucket")["Contents"]
    assert [(item["Key"], item["Size"]) for item in listing] == [("checkpoints/job/two", 3)]


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3://", "bucket/key"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="must look like s3://bucket/prefix"):
        split_s3_uri(uri)
