"""Hugging Face's own client against the API, over HTTP, unchanged."""

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from contract.problems import TooManyRequests
from contract.requests import ClassifyRequest
from tests.lambdas.aws.test_endpoint import from_container
from tests.lambdas.classify.test_main import BROKEN, JPEG
from tests.lambdas.gateway import Resolve, event, served
from tests.lambdas.sagemaker import SageMaker


@pytest.fixture
def client(resolve: Resolve) -> Iterator[InferenceClient]:
    with served(resolve) as url:
        yield InferenceClient(model=f"{url}/classify", headers={"x-api-key": "key"})


def test_its_call_works(client: InferenceClient, sagemaker: SageMaker):
    scores = client.zero_shot_image_classification(JPEG, candidate_labels=["cat", "dog"])
    assert {each.label for each in scores} == {"cat", "dog"}
    assert sum(each.score for each in scores) == pytest.approx(1) and scores[0].score >= scores[1].score
    (request,) = sagemaker.requests
    assert isinstance(request, ClassifyRequest) and request.images == [JPEG]


def test_its_template_is_used(client: InferenceClient, sagemaker: SageMaker):
    client.zero_shot_image_classification(JPEG, candidate_labels=["a", "b"], hypothesis_template="a drawing of {}")
    (request,) = sagemaker.requests
    assert isinstance(request, ClassifyRequest)
    assert request.parameters.hypothesis_template == ["a drawing of {}"]


@pytest.mark.parametrize(
    "labels, image, sentence",
    [
        (["cat", "cat"], JPEG, "the label 'cat' is given twice"),
        (["cat", " "], JPEG, "must not be blank"),
        (["cat", "dog"], BROKEN, "the image is not one: send a JPEG"),
    ],
)
def test_its_exception_says_our_sentence(client: InferenceClient, labels: list[str], image: bytes, sentence: str):
    with pytest.raises(HfHubHTTPError) as raised:
        client.zero_shot_image_classification(image, candidate_labels=labels)
    assert sentence in str(raised.value)
    assert event("health")["requestContext"]["requestId"] in str(raised.value)


def test_overload_says_our_sentence_too(client: InferenceClient, sagemaker: SageMaker):
    sagemaker.failure = from_container(TooManyRequests("16 requests wait already", retry_after_s=3))
    with pytest.raises(HfHubHTTPError, match="16 requests wait already"):
        client.zero_shot_image_classification(JPEG, candidate_labels=["cat", "dog"])
