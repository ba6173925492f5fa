from typing import Any

import pytest

from contract.models import BASE, NO_MODEL_URI, Model, Promotion
from contract.problems import Conflict, NotFound
from lambdas.aws.s3 import Store
from lambdas.stored.registry import Registry


@pytest.fixture
def registry(bucket: Any) -> Registry:
    return Registry(Store(bucket.name, lambda service: bucket.meta.client))


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
