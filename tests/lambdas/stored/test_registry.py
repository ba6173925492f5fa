import json
from typing import Any

import pytest

from contract.models import BASE, NO_MODEL_URI, Model, Promotion
from contract.problems import BadRequest, Conflict, NotFound
from lambdas.aws.s3 import Store
from lambdas.stored.registry import Registry, StoredCheckpoint


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(bucket.name, lambda service: bucket.meta.client)


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


def model(version: str, created: str) -> Model:
    return Model(version=version, artifact_s3_uri=f"s3://b/models/{version}/", created=created, source="import")


def test_the_base_is_always_there_and_the_others_come_the_oldest_first(registry: Registry) -> None:
    newer, older = model("a", "2026-02"), model("b", "2026-01")
    registry.add(newer)
    registry.add(older)
    assert registry.models() == [BASE, older, newer]
    assert (registry.find("base"), registry.find("a"), registry.find("x")) == (BASE, newer, None)
    with pytest.raises(NotFound, match="there is no model 'x'"):
        registry.get("x")


def test_a_version_is_found_by_where_its_checkpoint_is(registry: Registry) -> None:
    registry.add(model("a", "2026"))
    assert registry.at(NO_MODEL_URI) == BASE and registry.at("s3://b/models/a/") == registry.get("a")
    assert registry.at("s3://b/models/x/") is None


@pytest.mark.parametrize("version", ["a", "base"])
def test_a_version_is_registered_for_good(registry: Registry, version: str) -> None:
    registry.add(model("a", "2026"))
    with pytest.raises(Conflict, match="choose another version"):
        registry.add(model(version, "2027"))


def test_promotions_come_the_newest_first(registry: Registry) -> None:
    for id in ("20260101000000-aaaaaa", "20260102000000-aaaaaa"):
        registry.put(Promotion(id=id, version="a", artifact_s3_uri="s3://b/models/a/", created="2026"))
    assert [each.id[:8] for each in registry.promotions()] == ["20260102", "20260101"]
    assert registry.promotion("20260103000000-aaaaaa") is None


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
    assert json.loads(checkpoint.read("config.json") or b"") == {"a": 1}


def test_a_part_of_a_file_may_lie_behind_its_end_and_an_absent_file_is_none(store: Store) -> None:
    checkpoint = StoredCheckpoint(store, "models/mine/")
    store.put("models/mine/weights", b"0123", "application/octet-stream")
    assert checkpoint.read("weights", first=1, size_bytes=2) == b"12"
    assert checkpoint.read("weights", first=4, size_bytes=2) == b""
    assert checkpoint.read("absent") is None
