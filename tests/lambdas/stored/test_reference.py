"""Which images of the bucket a training keeps its base's answers on."""

from typing import Any

import pytest

from contract.reference import MIN_REFERENCE_IMAGES
from lambdas.aws.s3 import Store
from lambdas.stored import reference
from lambdas.stored.reference import counted, sampled, too_few
from tests.lambdas.conftest import SETTINGS


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(SETTINGS.data_bucket, lambda service: bucket.meta.client)


def put(bucket: Any, *keys: str) -> None:
    for key in keys:
        bucket.put_object(Key=key, Body=b"")


def test_it_has_the_images_under_a_prefix_that_are_not_the_datasets(bucket: Any, store: Store) -> None:
    put(bucket, "collections/a/", "collections/a/1.jpg", "collections/a/2.PNG", "collections/a/list.jsonl")
    put(bucket, "collections/b/3.jpg", "images/00ff", "images/ff00")
    assert sampled(store, "collections/a/", frozenset()) == ["collections/a/1.jpg", "collections/a/2.PNG"]
    assert counted(store, "collections/") == 3
    assert sampled(store, "images/", {"images/ff00"}) == ["images/00ff"]


def test_a_sample_is_bounded_and_the_same_of_the_same_objects(
    bucket: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, *(f"collections/{number}.jpg" for number in range(60)))
    monkeypatch.setattr(reference, "MAX_LISTED_KEYS", 40)
    found = sampled(store, "collections/", frozenset())
    assert found == sorted(found) == sampled(store, "collections/", frozenset()) and len(found) == 40


def test_too_few_are_told_in_numbers_with_what_to_do() -> None:
    assert too_few("collections/", MIN_REFERENCE_IMAGES) == []
    (said,) = too_few("collections/welds/", 3)
    assert "under 'collections/welds/' there are 3 images" in said and "30 at least" in said
