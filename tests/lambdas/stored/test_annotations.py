import math
from collections.abc import Sequence
from typing import Any

import pytest

from contract.annotations import AnnotationBody, Entry, annotation_key
from contract.answers import Inspection
from contract.invocation import InvocationAttributes
from contract.problems import BadRequest, NotFound, PreconditionFailed, ProblemError, ServiceUnavailable
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import Inspect, inspect
from lambdas.aws.s3 import Store
from lambdas.stored.annotations import READ_AT_ONCE, AnnotationStore
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.manage.conftest import annotated
from tests.lambdas.sagemaker import JPEG_START, SageMaker

IMAGE = JPEG_START + b"one"


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(bucket.name, lambda service: bucket.meta.client)


@pytest.fixture
def look(sagemaker: SageMaker) -> Inspect:
    endpoint = Endpoint(SETTINGS.endpoint_name, sagemaker.connect)
    return lambda images: inspect(images, endpoint, InvocationAttributes())


def entry(label: str = "cat") -> Entry:
    return Entry(AnnotationBody(label=label), b"")


def test_good_entries_are_kept_and_the_others_have_their_problem_in_their_place(store: Store, look: Inspect) -> None:
    bad = Entry(BadRequest("says nothing"), b"")
    pairs = [(entry(), IMAGE), (bad, IMAGE), (entry(), NotFound("no object")), (entry(), b"no image"), (entry(), IMAGE)]
    kept = AnnotationStore(store).add(pairs, look, "test")
    told = [each.status if isinstance(each, ProblemError) else each["new"] for each in kept]
    assert told[1:4] == [400, 404, 422]
    assert sorted([told[0], told[4]]) == [
        False,
        True,
    ]  # they say the same: either is first
    assert len(AnnotationStore(store).all("default")) == 1 and len(store.files("images/")) == 1


def test_no_image_is_looked_at_twice_and_none_without_a_good_entry(store: Store, look: Inspect) -> None:
    looked: list[bytes] = []

    def counted(images: Sequence[bytes]) -> Sequence[Inspection | ProblemError]:
        looked.extend(images)
        return look(images)

    AnnotationStore(store).add([(entry("cat"), IMAGE), (entry("pet"), IMAGE)], counted, "test")
    AnnotationStore(store).add([(Entry(BadRequest("no"), b""), IMAGE)], counted, "test")
    assert looked == [IMAGE]


def test_where_nobody_can_look_nothing_is_kept(store: Store) -> None:
    def away(images: Sequence[bytes]) -> Sequence[Inspection | ProblemError]:
        raise ServiceUnavailable("the model is not ready: try again")

    with pytest.raises(ServiceUnavailable):
        AnnotationStore(store).add([(entry(), IMAGE)], away, "test")
    assert not [*store.keys("")]


def test_an_edit_changes_what_is_said_in_the_state_that_was_read(store: Store, look: Inspect) -> None:
    annotations = AnnotationStore(store)
    (kept,) = annotations.add([(entry(), IMAGE)], look, "test")
    assert not isinstance(kept, ProblemError)
    document = annotations.read("default", kept["id"])
    assert annotations.edit(document, AnnotationBody(label="dog")).value["label"] == "dog"
    with pytest.raises(PreconditionFailed):
        annotations.edit(document, AnnotationBody(label="owl"))
    assert document.key == annotation_key("default", kept["id"])
    with pytest.raises(NotFound, match="in the dataset 'other'"):
        annotations.read("other", kept["id"])


@pytest.mark.slow
def test_some_of_a_datasets_records_are_read_as_far_as_there_is_time_and_all_are_counted(
    store: Store, bucket: Any
) -> None:
    annotated(bucket, "welds", train_crack=150)
    annotations = AnnotationStore(store)
    every_id = [each.id for each in annotations.all("welds")]
    some = {until_s: annotations.some("welds", 120, until_s) for until_s in (0.0, math.inf)}
    assert [(len(read), listed) for read, listed in some.values()] == [(READ_AT_ONCE, 150), (120, 150)]
    assert [each.id for each in some[math.inf][0]] == every_id[:120]
    assert annotations.some("absent", 120, math.inf) == ([], 0)


def test_a_small_dataset_is_known_as_a_whole_beside_a_large_one(store: Store, bucket: Any) -> None:
    annotated(bucket, "all", train_crack=40), annotated(bucket, "welds", train_crack=5)
    every = list(AnnotationStore(store).states())
    assert len(every) == 45
    assert [key for key in every if "/welds/" in key] == [key for key in every[:10] if "/welds/" in key]
    of_all = [key for key in every if "/all/" in key]
    assert of_all == sorted(of_all)
