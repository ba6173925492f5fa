from typing import Any

import pytest

from contract.problems import BadRequest
from lambdas.aws.s3 import Store
from lambdas.stored.checkpoints import StoredCheckpoint


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(bucket.name, lambda service: bucket.meta.client)


@pytest.mark.parametrize(
    "s3_uri", ["s3://elsewhere/models/x/", "s3://wordsight-data/models/", "s3://wordsight-data/x/"]
)
def test_a_checkpoint_lies_under_models_of_the_artifacts_bucket(store: Store, s3_uri: str) -> None:
    with pytest.raises(BadRequest, match="a folder under s3://wordsight-data/models/"):
        StoredCheckpoint.at(s3_uri, store)


def test_its_files_are_those_of_its_folder_with_their_sizes(store: Store) -> None:
    for name in ("mine/config.json", "mine/logs/1", "mine-2/config.json"):
        store.put(f"models/{name}", b'{"a": 1}', "application/json")
    checkpoint = StoredCheckpoint.at("s3://wordsight-data/models/mine", store)
    assert checkpoint.s3_uri == "s3://wordsight-data/models/mine/"
    assert checkpoint.sizes_bytes() == {"config.json": 8}
    assert checkpoint.read_json("config.json") == {"a": 1}


def test_a_part_of_a_file_may_lie_behind_its_end_and_an_absent_file_is_none(store: Store) -> None:
    checkpoint = StoredCheckpoint(store, "models/mine/")
    store.put("models/mine/weights", b"0123", "application/octet-stream")
    assert checkpoint.read("weights", first=1, size_bytes=2) == b"12"
    assert checkpoint.read("weights", first=4, size_bytes=2) == b""
    assert checkpoint.read("absent") is None


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read as JSON"), (b"{", "can't be read"), (b"[]", "no")])
def test_a_file_that_holds_no_json_object_is_refused(store: Store, content: bytes | None, said: str) -> None:
    if content is not None:
        store.put("models/mine/config.json", content, "application/json")
    with pytest.raises(BadRequest, match=f"^config.json .*{said}"):
        StoredCheckpoint(store, "models/mine/").read_json("config.json")
