import base64

import pytest

from contract.invocation import AnswerAttributes
from contract.limits import MAX_CUSTOM_ATTRIBUTES_CHARS, MAX_INLINE_IMAGE_BYTES
from contract.problems import BadRequest, PayloadTooLarge
from contract.serving_function import MAX_BODY_BYTES, MAX_PAYLOAD_BYTES, Invocation, Invoked


def test_a_request_survives_its_way_through_json() -> None:
    sent = Invocation.of("multipart/form-data; boundary=x", "request_id=1", b"\x00\xff\r\n")
    assert Invocation.model_validate_json(sent.model_dump_json()).body_bytes() == b"\x00\xff\r\n"


def test_the_largest_request_fits_lambdas_payload_and_holds_the_largest_inline_image() -> None:
    largest = Invocation.of("x" * 1_000, "y" * MAX_CUSTOM_ATTRIBUTES_CHARS, bytes(MAX_BODY_BYTES))
    assert len(largest.model_dump_json()) <= MAX_PAYLOAD_BYTES
    assert MAX_INLINE_IMAGE_BYTES * 1.05 < MAX_BODY_BYTES
    with pytest.raises(PayloadTooLarge, match="4,700,001 bytes, at most 4,700,000 reach the model of this stage"):
        Invocation.of("image/png", "", bytes(MAX_BODY_BYTES + 1))


def test_a_body_that_is_no_base64_is_said_so() -> None:
    with pytest.raises(BadRequest, match="the invocation's body is no base64"):
        Invocation(content_type="image/png", body="é?").body_bytes()
    assert Invocation(content_type="image/png", body=base64.b64encode(b"a").decode()).body_bytes() == b"a"


def test_an_answer_is_read_with_what_is_told_beside_it() -> None:
    told = Invoked.model_validate_json(
        '{"status": 200, "content_type": "a/b", "custom_attributes": "model_version=v", "body": "[]"}'
    )
    assert (told.body, AnswerAttributes.decode(told.custom_attributes).model_version) == ("[]", "v")
