import json
import time
from typing import Any

import pytest

from contract.invocation import InvocationAttributes
from contract.limits import MAX_IMAGES, MAX_INVOCATION_BYTES
from contract.problems import BadGateway, Conflict, NotFound, PayloadTooLarge, ProblemError, UnprocessableImage
from contract.questions import Parameters, Question
from contract.requests import ClassifyRequest, EmbedRequest
from contract.teaching import TeachRequest, embedding_bytes
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import attributes_within, infer, infer_taught, inspect, invocation_chunks, teach, thumbnail
from tests.lambdas.sagemaker import JPEG_START, SageMaker, model_error_members

LARGE = bytes(MAX_INVOCATION_BYTES // 2)


def sizes(images: list[bytes], **limits: int) -> list[int]:
    return [len(chunk) for chunk in invocation_chunks(list(enumerate(images)), MAX_INVOCATION_BYTES, **limits)]


def test_a_chunk_has_no_more_images_than_one_request_may_have() -> None:
    assert sizes([b"i"] * (2 * MAX_IMAGES + 1)) == [MAX_IMAGES, MAX_IMAGES, 1]
    assert sizes([b"i"] * 7, max_images=3) == [3, 3, 1]


def test_a_chunk_has_no_more_bytes_than_one_invocation_takes() -> None:
    assert sizes([LARGE, LARGE, b"i", LARGE]) == [2, 2]


def test_where_an_invocation_takes_less_a_chunk_has_less() -> None:
    images = list(enumerate([bytes(3), bytes(3), bytes(5), NotFound("no"), bytes(9)]))
    assert [len(chunk) for chunk in invocation_chunks(images, 6)] == [2, 2, 1]


def test_nothing_is_lost_and_the_order_stays() -> None:
    images = [b"1", LARGE, NotFound("no"), LARGE, b"2"]
    pairs = list(enumerate(images))
    assert [pair for chunk in invocation_chunks(pairs, MAX_INVOCATION_BYTES) for pair in chunk] == pairs
    assert list(invocation_chunks([], MAX_INVOCATION_BYTES)) == []


PARAMETERS = Parameters(candidate_labels=["cat", "dog"])
CAT, DOG, BROKEN = JPEG_START + b"cat", JPEG_START + b"dog", b"no image"
NO_IMAGE = NotFound("no object")


@pytest.fixture
def endpoint(sagemaker: SageMaker) -> Endpoint:
    return Endpoint("wordsight-test", sagemaker.connect)


def ask(endpoint: Endpoint, *images: bytes | ProblemError, listed: bool = False) -> Any:
    request = ClassifyRequest(list(images), PARAMETERS, listed)
    return infer(request, images, endpoint, InvocationAttributes())[0]


def test_the_container_is_always_asked_for_a_list_and_callers_get_what_they_asked_for(
    endpoint: Endpoint, sagemaker: SageMaker
) -> None:
    alone, listed = ask(endpoint, CAT), ask(endpoint, CAT, listed=True)
    assert listed == [alone] and alone[0].keys() == {"label", "score"}
    assert [request.listed for request in sagemaker.requests] == [True, True]


def test_a_lone_images_problem_is_raised_and_a_listed_ones_is_in_its_place(endpoint: Endpoint) -> None:
    with pytest.raises(UnprocessableImage, match="send a JPEG"):
        ask(endpoint, BROKEN)
    assert [item["status"] for item in ask(endpoint, BROKEN, NO_IMAGE, listed=True)] == [422, 404]
    with pytest.raises(NotFound):
        ask(endpoint, NO_IMAGE)


def test_answers_and_problems_keep_their_images_places(endpoint: Endpoint) -> None:
    cat, absent, broken, dog = ask(endpoint, CAT, NO_IMAGE, BROKEN, DOG, listed=True)
    assert (cat, dog) == (ask(endpoint, CAT), ask(endpoint, DOG))
    assert absent == NO_IMAGE.body() and broken["status"] == 422


def test_an_image_that_alone_is_too_large_for_sagemaker_is_the_problem_and_of_several_the_request_is(
    endpoint: Endpoint, sagemaker: SageMaker
) -> None:
    sagemaker.failure = (413, "413", {"Message": "HTTP content length exceeded 26214400 bytes."})
    assert [item["status"] for item in ask(endpoint, CAT, NO_IMAGE, listed=True)] == [413, 404]
    with pytest.raises(PayloadTooLarge):
        ask(endpoint, CAT, DOG, listed=True)


def test_nothing_is_sent_where_nothing_can_be_read(endpoint: Endpoint, sagemaker: SageMaker) -> None:
    assert ask(endpoint, NO_IMAGE, listed=True) == [NO_IMAGE.body()]
    embed = EmbedRequest([NO_IMAGE], [])
    assert infer(embed, [NO_IMAGE], endpoint, InvocationAttributes())[0] == {"images": [NO_IMAGE.body()], "texts": []}
    assert sagemaker.calls == 0


def test_inspections_are_problems_to_raise_or_to_keep(endpoint: Endpoint) -> None:
    seen, broken = inspect([CAT, BROKEN], endpoint, InvocationAttributes())
    assert isinstance(broken, UnprocessableImage) and not isinstance(seen, ProblemError)
    assert seen["size_bytes"] == len(CAT)


def test_a_thumbnail_is_an_image_or_its_problem(endpoint: Endpoint) -> None:
    assert thumbnail(CAT, 64, endpoint, InvocationAttributes()).startswith(CAT[:3] + b"64 px of")
    with pytest.raises(UnprocessableImage):
        thumbnail(BROKEN, 64, endpoint, InvocationAttributes())


def test_a_worker_tells_the_container_until_when_it_waits() -> None:
    before_ms = int(time.time() * 1000)
    attributes = attributes_within("import", 20)
    assert attributes.request_id == "import"
    assert attributes.deadline_epoch_ms is not None and attributes.deadline_epoch_ms >= before_ms + 20_000


QUESTION = Question(candidate_labels=["cat", "dog"])


def lesson(endpoint: Endpoint) -> tuple[str, bytes]:
    """A head that was made of two images, with its sha256."""
    vectors = [embedding_bytes(look["embedding"], "it") for look in looks(endpoint, CAT, DOG)]
    made = teach(TeachRequest(QUESTION, vectors, [0, 1]), endpoint)
    return made.sha256, embedding_bytes(made.head, "it")


def looks(endpoint: Endpoint, *images: bytes) -> list[Any]:
    return [each for each in inspect(images, endpoint, InvocationAttributes()) if not isinstance(each, ProblemError)]


def ask_taught(endpoint: Endpoint, heads: dict[str, bytes], asked: str) -> tuple[Any, Any]:
    request = ClassifyRequest([CAT], PARAMETERS, heads={"": asked})
    return infer_taught(request, [CAT], endpoint, InvocationAttributes(), heads.get)


def test_an_inspection_has_a_vector_and_who_made_it(endpoint: Endpoint) -> None:
    (look,) = looks(endpoint, CAT)
    assert look["model_version"] == "tiny@1" and len(embedding_bytes(look["embedding"], "it")) == 16


def test_a_head_is_sent_once_and_known_from_then_on(endpoint: Endpoint, sagemaker: SageMaker) -> None:
    sha256, content = lesson(endpoint)
    by_words = ask(endpoint, CAT)
    sagemaker.requests.clear()
    first, beside = ask_taught(endpoint, {sha256: content}, sha256)
    again, _ = ask_taught(endpoint, {}, sha256)
    assert first == again != by_words and beside.heads == (sha256[:12],)
    assert [bool(request.head_files) for request in sagemaker.requests] == [False, True, False]


def test_a_head_that_was_erased_meanwhile_leaves_the_words(endpoint: Endpoint) -> None:
    answer, beside = ask_taught(endpoint, {}, "0" * 64)
    assert answer == ask(endpoint, CAT) and beside.heads == ()


def test_another_problem_of_the_container_is_raised(endpoint: Endpoint, sagemaker: SageMaker) -> None:
    sagemaker.failure = model_error_members_of(409)
    with pytest.raises(Conflict, match="in another state"):
        ask_taught(endpoint, {}, "0" * 64)


def model_error_members_of(status: int) -> tuple[int, str, dict[str, Any]]:
    return 424, "ModelError", model_error_members(status, json.dumps({"detail": "it is in another state"}))


def test_an_answer_that_is_no_lesson_is_the_endpoints_fault(endpoint: Endpoint, sagemaker: SageMaker) -> None:
    sagemaker.learns.lesson = lambda request, version: sagemaker.cards  # type: ignore[assignment, return-value]
    with pytest.raises(BadGateway, match="no lesson"):
        lesson(endpoint)
