import pytest

from contract.forms import read_fields
from contract.limits import MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from contract.routes import API_KEY_HEADER
from tests.wordsight.test_api import Answers, answering
from wordsight import images
from wordsight.api import Api, CommandError


def test_images_are_sent_in_their_order_as_many_at_once_as_a_request_may_have() -> None:
    small, large = b"1", bytes(MAX_INLINE_IMAGE_BYTES)
    sizes = [len(chunk) for chunk in images.chunks(enumerate([small] * (MAX_IMAGES + 1)))]
    assert sizes == [MAX_IMAGES, 1]
    chunks = list(images.chunks(enumerate([large, small, large])))
    assert [[number for number, _ in chunk] for chunk in chunks] == [[0], [1], [2]]
    assert list(images.chunks([])) == []


def test_an_image_too_large_for_a_request_is_uploaded_by_the_form_it_gets() -> None:
    image = bytes(MAX_INLINE_IMAGE_BYTES + 1)
    answers: Answers = []
    with answering(answers) as (url, seen):
        form = f'{{"uploads": [{{"url": "{url}bucket", "fields": {{"key": "uploads/1"}}, "s3_key": "uploads/1"}}]}}'
        answers += [(201, {}, form.encode()), (204, {}, b"")]
        assert images.source(Api(url, "k"), image) == {"s3_key": "uploads/1"}
    path, headers, body = seen[-1]
    assert path == "/v1/bucket" and API_KEY_HEADER not in headers
    # the contract calls a file `image`, S3 calls it `file`, and wants it last
    sent, fields = read_fields(headers["content-type"], body.replace(b'name="file"', b'name="image"'), {})
    assert (sent, fields) == ([image], {"key": ["uploads/1"]})


def test_an_image_too_large_for_the_model_is_refused_before_it_is_sent() -> None:
    with pytest.raises(CommandError, match="at most 24,000,000 are taken"):
        images.source(Api("http://127.0.0.1:1", "k"), bytes(MAX_INVOCATION_BYTES + 1))
