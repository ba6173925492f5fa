import struct
from typing import Any

import pytest

from contract.invocation import InvocationAttributes
from contract.problems import ProblemError
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import Look, inspect
from lambdas.aws.s3 import Store
from lambdas.stored.embeddings import EmbeddingStore
from tests.lambdas.sagemaker import JPEG_START, SageMaker


@pytest.fixture
def embeddings(bucket: Any) -> EmbeddingStore:
    return EmbeddingStore(Store(bucket.name, lambda service: bucket.meta.client))


def look(sagemaker: SageMaker, image: bytes) -> Look:
    (found,) = inspect([JPEG_START + image], Endpoint("wordsight-test", sagemaker.connect), InvocationAttributes())
    assert not isinstance(found, ProblemError)
    return found


def test_a_vector_is_kept_by_its_image_and_the_version_that_made_it(
    embeddings: EmbeddingStore, sagemaker: SageMaker
) -> None:
    one = look(sagemaker, b"one")
    numbers = embeddings.keep(one)
    assert sum(number**2 for number in struct.unpack("<4f", numbers)) == pytest.approx(1)
    assert embeddings.read("tiny@1", one["sha256"]) == numbers
    assert embeddings.read("tiny@2", one["sha256"]) is None


def test_an_erased_image_leaves_none_of_any_version(embeddings: EmbeddingStore, sagemaker: SageMaker) -> None:
    one, two = look(sagemaker, b"one"), look(sagemaker, b"two")
    for version in ("tiny@1", "hub/tiny"):
        embeddings.keep({**one, "model_version": version}), embeddings.keep({**two, "model_version": version})
    embeddings.erase(one["sha256"])
    assert embeddings.read("tiny@1", one["sha256"]) is embeddings.read("hub/tiny", one["sha256"]) is None
    assert embeddings.read("hub/tiny", two["sha256"]) is not None
