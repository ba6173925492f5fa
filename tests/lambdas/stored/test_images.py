import base64
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from contract.limits import MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from contract.problems import BadRequest, NotFound, PayloadTooLarge, ServiceUnavailable
from contract.requests import S3Object
from lambdas.aws.clients import connect
from lambdas.aws.s3 import Store
from lambdas.classify.main import create_app
from lambdas.settings import ClassifySettings
from lambdas.stored.images import read_each_image, read_images, read_thumbnail
from tests.lambdas.classify.test_main import JPEG, classify_list, post
from tests.lambdas.conftest import CONTEXT, SETTINGS, Call
from tests.lambdas.sagemaker import SageMaker


def upload(bucket: Any, name: str, image: bytes) -> dict[str, str]:
    bucket.put_object(Key=f"uploads/{name}", Body=image)
    return {"s3_key": f"uploads/{name}"}


def test_an_uploaded_image_gives_the_scores_it_gives_when_it_is_sent(call: Call, sagemaker: SageMaker, bucket: Any):
    key = upload(bucket, "cat.jpg", JPEG)
    parameters = {"candidate_labels": ["cat", "dog"]}
    sent = call(post("/classify", {"inputs": base64.b64encode(JPEG).decode(), "parameters": parameters}))
    stored = call(post("/classify", {"inputs": key, "parameters": parameters}))
    assert stored.status == 200 and stored.json == sent.json
    assert sagemaker.requests[0] == sagemaker.requests[1]


def test_uploaded_and_sent_images_of_a_list_keep_their_order(call: Call, sagemaker: SageMaker, bucket: Any):
    images = [JPEG + bytes([n]) for n in range(20)]
    sources = [upload(bucket, str(n), image) if n % 3 else image for n, image in enumerate(images)]
    assert call(classify_list(*sources)).status == 200
    assert sagemaker.requests[0].images == images


def test_a_missing_upload_is_not_found(call: Call, sagemaker: SageMaker, bucket: Any):
    body = {"inputs": {"s3_key": "uploads/none.jpg"}, "parameters": {"candidate_labels": "a, b"}}
    answer = call(post("/classify", body))
    assert answer.status == 404 and "'uploads/none.jpg'" in answer.detail
    assert sagemaker.calls == 0


def test_a_missing_upload_of_a_list_is_a_problem_in_its_place(call: Call, bucket: Any):
    missing, good = call(classify_list({"s3_key": "uploads/none.jpg"}, upload(bucket, "cat.jpg", JPEG))).json
    assert missing["status"] == 404 and len(good) == 2


def test_an_image_too_large_for_the_api_may_be_uploaded(call: Call, bucket: Any):
    key = upload(bucket, "large.jpg", JPEG + bytes(MAX_INLINE_IMAGE_BYTES))
    assert call(classify_list(key)).status == 200


def test_images_too_large_together_are_refused_before_they_are_read(bucket: Any):
    half = MAX_INVOCATION_BYTES // 2
    keys = [S3Object(**upload(bucket, str(n), bytes(half))) for n in range(2)]
    store = Store(bucket.name, connect)
    found = read_images(keys, store, MAX_INVOCATION_BYTES)
    assert [len(image) for image in found] == [half, half]  # type: ignore[arg-type]
    with pytest.raises(PayloadTooLarge, match=f"{MAX_INVOCATION_BYTES:,} bytes"):
        read_images([*keys, b"1"], store, MAX_INVOCATION_BYTES)
    with pytest.raises(PayloadTooLarge, match=f"{half:,} bytes"):
        read_images(keys, store, half)


def test_where_each_image_goes_alone_one_that_is_too_large_is_the_only_one(bucket: Any):
    keys = [S3Object(**upload(bucket, str(size), bytes(size))) for size in (7, 8)]
    small, large = read_each_image(keys, Store(bucket.name, connect), 7)
    assert small == bytes(7) and isinstance(large, PayloadTooLarge)


def test_without_uploads_s3_is_not_asked():
    problem, nowhere = BadRequest("no base64"), Store(SETTINGS.data_bucket, lambda service: pytest.fail(service))
    assert read_images([JPEG, problem], nowhere, MAX_INVOCATION_BYTES) == [JPEG, problem]


def test_a_silent_bucket_is_a_fault_of_the_moment(bucket: Any):
    def silent(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://s3")

    s3 = SimpleNamespace(get_object=silent)
    with pytest.raises(ServiceUnavailable) as raised:
        read_images([S3Object(s3_key="uploads/1")], Store(bucket.name, lambda _: s3), MAX_INVOCATION_BYTES)
    assert raised.value.retry_after_s


def test_a_missing_bucket_is_our_fault(sagemaker: SageMaker, bucket: Any):
    elsewhere = ClassifySettings(endpoint_name="wordsight-test", data_bucket="no-such-bucket")
    app = create_app(elsewhere, sagemaker.connect)
    assert app.resolve(classify_list({"s3_key": "uploads/1"}), CONTEXT)["statusCode"] == 500


def test_not_found_names_the_key(bucket: Any):
    (missing,) = read_images([S3Object(s3_key="uploads/ü")], Store(bucket.name, connect), MAX_INVOCATION_BYTES)
    assert isinstance(missing, NotFound) and "'uploads/ü'" in missing.detail


def test_an_empty_upload_is_a_problem_in_its_place(call: Call, bucket: Any):
    empty, good = call(classify_list(upload(bucket, "empty", b""), upload(bucket, "cat.jpg", JPEG))).json
    assert empty["status"] == 422 and "'uploads/empty' is empty" in empty["detail"] and len(good) == 2


def test_of_an_image_that_is_erased_while_it_is_shrunk_nothing_is_kept(bucket: Any):
    image, store = "0" * 64, Store(SETTINGS.data_bucket, connect)
    bucket.put_object(Key=f"images/{image}", Body=JPEG)

    def shrink(content: bytes) -> bytes:
        store.erase(f"images/{image}")
        return content[:3]

    assert read_thumbnail(image, 64, store, shrink) is None
    assert list(store.keys("thumbnails/")) == []
