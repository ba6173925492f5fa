import base64
import json
from typing import Any

import pytest

from contract.limits import MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from lambdas.annotate.main import create_app
from lambdas.aws.clients import connect
from tests.lambdas.classify.test_main import JPEG, post
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT, SETTINGS, Call
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.sagemaker import FUNCTION_ARN


def policy(upload: dict[str, Any]) -> list[Any]:
    """What S3 will insist on."""
    conditions: list[Any] = json.loads(base64.b64decode(upload["fields"]["policy"]))["conditions"]
    return conditions


def test_a_form_takes_one_image_to_one_key(annotate: Call) -> None:
    answer = annotate(proxy_event("POST", "/uploads"))
    assert answer.status == 201
    (upload,) = answer.json["uploads"]
    assert upload["s3_key"].startswith("uploads/") and upload["fields"]["key"] == upload["s3_key"]
    assert {"key": upload["s3_key"]} in policy(upload) and {"bucket": SETTINGS.data_bucket} in policy(upload)
    assert ["content-length-range", 1, upload["max_bytes"]] in policy(upload)
    assert ["starts-with", "$Content-Type", "image/"] in policy(upload)
    assert upload["fields"]["Content-Type"].startswith("image/")
    assert upload["max_bytes"] == MAX_INVOCATION_BYTES and SETTINGS.data_bucket in upload["url"]


def test_where_less_reaches_the_model_an_image_may_have_less_and_a_list_of_annotations_may_not(bucket: Any) -> None:
    settings = ANNOTATE_SETTINGS.model_copy(update={"endpoint_name": FUNCTION_ARN})
    app = create_app(settings, connect)
    for content_type, most in (("image/png", MAX_INLINE_IMAGE_BYTES), ("application/jsonl", MAX_INVOCATION_BYTES)):
        answer = Answer(app.resolve(post("/uploads", {"content_type": content_type}), CONTEXT))
        assert [each["max_bytes"] for each in answer.json["uploads"]] == [most]


def test_a_type_that_is_named_is_insisted_on(annotate: Call) -> None:
    (upload,) = annotate(post("/uploads", {"content_type": "image/png"})).json["uploads"]
    assert upload["fields"]["Content-Type"] == "image/png"
    assert {"Content-Type": "image/png"} in policy(upload)


def test_the_lines_of_an_import_may_be_sent_too(annotate: Call) -> None:
    (upload,) = annotate(post("/uploads", {"content_type": "application/jsonl"})).json["uploads"]
    assert {"Content-Type": "application/jsonl"} in policy(upload)


def test_several_forms_have_a_key_each(annotate: Call) -> None:
    uploads = annotate(post("/uploads", {"count": 3})).json["uploads"]
    assert len({upload["s3_key"] for upload in uploads}) == 3


@pytest.mark.parametrize(
    "body, words",
    [
        ({"count": 0}, "count"),
        ({"count": 65}, "count"),
        ({"content_type": "text/html"}, "image/jpeg"),
        ({"key": "a"}, "key"),
    ],
)
def test_what_may_not_be_asked_is_named(annotate: Call, body: dict[str, Any], words: str) -> None:
    answer = annotate(post("/uploads", body))
    assert answer.status == 400 and words in answer.detail


def test_what_was_sent_to_its_key_can_be_classified(annotate: Call, call: Call, bucket: Any) -> None:
    (upload,) = annotate(proxy_event("POST", "/uploads")).json["uploads"]
    bucket.put_object(Key=upload["s3_key"], Body=JPEG)
    body = {"inputs": {"s3_key": upload["s3_key"]}, "parameters": {"candidate_labels": "a, b"}}
    assert call(post("/classify", body)).status == 200


def test_the_same_idempotency_key_gets_the_same_form(annotate: Call) -> None:
    made = post("/uploads", {"count": 2})
    made["headers"] |= {"idempotency-key": "once"}
    assert annotate(made).json == annotate(made).json
