from collections.abc import Sequence
from typing import Any

import pytest

from contract.annotations import image_key
from contract.invocation import InvocationAttributes
from contract.limits import MAX_INVOCATION_BYTES
from contract.problems import ServiceUnavailable
from contract.taught import Progress, embedding_key
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import inspect
from lambdas.stored.embeddings import EmbeddingStore
from lambdas.teach.vectors import AT_ONCE, Vectors
from tests.lambdas.teach.conftest import Stage, digest, image


@pytest.fixture
def looked() -> list[int]:
    return []


@pytest.fixture
def vectors(stage: Stage, looked: list[int]) -> Vectors:
    endpoint = Endpoint("wordsight-test", stage.connect)

    def look(images: Sequence[bytes]) -> Any:
        looked.append(len(images))
        return inspect(images, endpoint, InvocationAttributes())

    return Vectors(stage.store, look, MAX_INVOCATION_BYTES)


def put(stage: Stage, *numbers: int) -> list[str]:
    for number in numbers:
        stage.objects.put(image_key(digest(number)), image(number))
    return [digest(number) for number in numbers]


def test_what_is_kept_is_not_made_again_nor_read_twice(stage: Stage, vectors: Vectors, looked: list[int]) -> None:
    stage.say(1, "cat")
    (one,) = put(stage, 1)
    first = vectors.of([one], "tiny@1", lambda _: None)
    stage.store.delete(embedding_key("tiny@1", one))
    assert vectors.of([one], "tiny@1", lambda _: None) == first and len(first[one]) == 16
    assert looked == []


def test_what_has_none_is_looked_at_in_small_parts_and_kept(stage: Stage, vectors: Vectors, looked: list[int]) -> None:
    told: list[Progress | None] = []
    images = put(stage, *range(AT_ONCE + 1))
    assert vectors.of(images, "tiny@1", told.append).keys() == {*images}
    assert looked == [AT_ONCE, 1]
    assert [each for each in told if each] == [Progress(done=0, of=33), Progress(done=32, of=33)]
    assert EmbeddingStore(stage.store).read("tiny@1", images[0]) is not None


def test_what_can_t_be_read_is_left_out(stage: Stage, vectors: Vectors) -> None:
    (good,) = put(stage, 1)
    stage.objects.put(image_key(digest(2)), b"no image")
    assert vectors.of([good, digest(2), digest(3)], "tiny@1", lambda _: None).keys() == {good}


def test_no_vector_by_another_version_is_taken(stage: Stage, vectors: Vectors) -> None:
    images = put(stage, 1)
    with pytest.raises(ServiceUnavailable, match="the model is being replaced"):
        vectors.of(images, "tiny@2", lambda _: None)
    assert stage.keys("embeddings/") == []


def test_an_image_that_is_erased_meanwhile_leaves_no_vector(stage: Stage) -> None:
    one, two = put(stage, 1, 2)
    endpoint = Endpoint("wordsight-test", stage.connect)

    def erase_and_look(images: Sequence[bytes]) -> Any:
        stage.ask("DELETE", "/annotations", query=f"image={one}")
        return inspect(images, endpoint, InvocationAttributes())

    assert Vectors(stage.store, erase_and_look, MAX_INVOCATION_BYTES).of(
        [one, two], "tiny@1", lambda _: None
    ).keys() == {two}
    assert stage.keys("embeddings/") == [embedding_key("tiny@1", two)]
