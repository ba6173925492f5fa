import base64
import json
from hashlib import sha256
from typing import Any

import pytest

from contract.limits import MAX_IMAGES
from tests.lambdas.conftest import Call
from tests.lambdas.gateway import Answer, proxy_event

JPEG = b"\xff\xd8\xff"


def image(number: int) -> bytes:
    return JPEG + f"picture {number}".encode()


def said(content: bytes, **members: Any) -> dict[str, Any]:
    return {"image": base64.b64encode(content).decode(), **members}


def send(annotate: Call, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    kind = {"content-type": "application/json"} if content else {}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return annotate(proxy_event(method, path, body=content, headers={**kind, **headers}, query=query))


def post(annotate: Call, *annotations: dict[str, Any], **headers: str) -> Answer:
    return send(annotate, "POST", "/annotations", {"annotations": list(annotations)}, **headers)


def keys(bucket: Any, prefix: str) -> list[str]:
    return [found.key for found in bucket.objects.filter(Prefix=prefix)]


@pytest.mark.slow
def test_of_1000_annotations_with_2_percent_of_broken_images_980_are_stored_and_20_have_their_problem(
    annotate: Call, bucket: Any
):
    items: list[Any] = []
    for start in range(0, 1000, 50):
        pictures = [b"broken" if number % 50 == 7 else image(number) for number in range(start, start + 50)]
        labels = [("cat", "dog")[number % 2] for number in range(start, start + 50)]
        answer = post(
            annotate,
            *(
                said(p, sentences=f"a {label}", label=label, task="pet")
                for p, label in zip(pictures, labels, strict=True)
            ),
        )
        assert answer.status == 201
        items += answer.json
    problems = [item for item in items if "status" in item]
    assert [items.index(each) % 50 for each in problems[:1]] == [7]
    assert len(problems) == 20
    assert {(each["status"], each["type"]) for each in problems} == {(422, "urn:wordsight:problem:unprocessable-image")}
    counts = send(annotate, "GET", "/annotations").json["counts"]
    assert (
        counts["records"]
        == counts["counted"]
        == 980
        == len(keys(bucket, "annotations/"))
        == len(keys(bucket, "images/"))
    )
    assert counts["splits"] == {"": 980}
    assert counts["labels"] == {"pet": {"cat": 500, "dog": 480}}


def test_what_was_answered_as_stored_is_in_the_bucket(annotate: Call, bucket: Any):
    answer = send(annotate, "POST", "/annotations", said(image(1), sentences=["a red weld", "damaged"], split="test"))
    assert answer.status == 201
    digest = sha256(image(1)).hexdigest()
    assert answer.json == {"id": answer.json["id"], "dataset": "default", "image": digest, "new": True}
    stored = bucket.Object(f"images/{digest}").get()
    assert (stored["Body"].read(), stored["ContentType"]) == (image(1), "image/jpeg")
    record = json.loads(bucket.Object(f"annotations/default/{answer.json['id']}.json").get()["Body"].read())
    assert record["image"] == digest and record["sentences"] == ["a red weld", "damaged"]
    assert (record["split"], record["label"], record["task"], record["source"]) == ("test", None, None, "api")


def test_an_annotation_posted_twice_is_one_record(annotate: Call, bucket: Any):
    first = send(annotate, "POST", "/annotations", said(image(1), sentences="a weld"))
    again = post(annotate, said(image(1), sentences=["a weld"]), said(image(1), sentences="another weld"))
    assert (first.status, again.status) == (201, 201)
    assert [each["new"] for each in again.json] == [False, True]
    assert again.json[0]["id"] == first.json["id"] != again.json[1]["id"]
    assert len(keys(bucket, "annotations/")) == 2 and len(keys(bucket, "images/")) == 1
    assert post(annotate, said(image(1), sentences="a weld")).status == 200


def test_a_bad_annotation_of_a_list_has_its_problem_in_its_place(annotate: Call, bucket: Any):
    answer = post(
        annotate,
        said(image(1), label="cat"),
        said(image(2)),
        {"image": "not base64!", "label": "cat"},
        {"image": {"s3_key": "uploads/none"}, "label": "cat"},
        said(image(3), label="cat", task="Pet"),
        said(image(4), label="cat", split="holdout"),
    )
    assert [each.get("status") for each in answer.json] == [None, 400, 400, 404, 400, 400]
    assert "nothing is said of the image" in answer.json[1]["detail"]
    assert "uploads/none" in answer.json[3]["detail"]
    assert len(keys(bucket, "annotations/")) == len(keys(bucket, "images/")) == 1


def test_a_lone_bad_annotation_is_refused_and_nothing_is_kept(annotate: Call, bucket: Any):
    assert "not one: send a JPEG" in send(annotate, "POST", "/annotations", said(b"broken", label="cat")).detail
    assert (
        "without a label"
        in send(annotate, "POST", "/annotations", said(image(1), sentences="a cat", task="pet")).detail
    )
    assert send(annotate, "POST", "/annotations", {"annotations": []}).status == 400
    many = [said(image(number), label="cat") for number in range(MAX_IMAGES + 1)]
    assert str(MAX_IMAGES) in post(annotate, *many).detail
    assert not keys(bucket, "annotations/") and not keys(bucket, "images/")


def test_an_uploaded_image_is_named_by_its_key(annotate: Call, bucket: Any):
    bucket.put_object(Key="uploads/1", Body=image(1))
    answer = send(
        annotate, "POST", "/annotations", {"image": {"s3_key": "uploads/1"}, "label": "cat", "dataset": "pets"}
    )
    assert answer.json["image"] == sha256(image(1)).hexdigest()
    assert len(keys(bucket, "annotations/pets/")) == 1
    assert send(annotate, "POST", "/annotations", {"image": {"s3_key": "images/1"}, "label": "cat"}).status == 400


def test_a_form_says_the_same_of_all_of_its_images(annotate: Call):
    def part(disposition: str, content: bytes) -> bytes:
        return b"--b\r\ncontent-disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"

    fields = (
        part('name="sentences"', b"a cat, asleep") + part('name="sentences"', b"a pet") + part('name="split"', b"test")
    )
    for count in (1, 2):
        images = b"".join(part('name="image"; filename="1.jpg"', image(n)) for n in range(count))
        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = annotate(proxy_event("POST", "/annotations", body=images + fields + b"--b--\r\n", headers=kind))
        assert isinstance(answer.json, list) == (count > 1)
    (record, _) = send(annotate, "GET", "/annotations").json["annotations"]
    assert record["sentences"] == ["a cat, asleep", "a pet"] and record["split"] == "test"


def test_an_image_as_it_is_has_its_annotation_in_the_query(annotate: Call):
    event = proxy_event(
        "POST", "/annotations", body=image(1), headers={"content-type": "image/jpeg"}, query="label=cat&dataset=pets"
    )
    assert annotate(event).json["dataset"] == "pets"
    event = proxy_event(
        "POST", "/annotations", body=image(1), headers={"content-type": "image/jpeg"}, query="lable=cat"
    )
    assert "lable: is not a known field" in annotate(event).detail


def test_a_post_with_the_same_idempotency_key_is_answered_alike(annotate: Call, bucket: Any):
    first, second = (post(annotate, said(image(1), label="cat"), Idempotency_Key="k") for _ in range(2))
    assert first.json == second.json and second.json[0]["new"] is True


def test_pages_follow_one_another_and_only_the_first_counts(annotate: Call):
    ids = sorted(each["id"] for each in post(annotate, *(said(image(n), label="cat") for n in range(5))).json)
    first = send(annotate, "GET", "/annotations", query="limit=3").json
    rest = send(annotate, "GET", "/annotations", query=f"limit=3&after={first['next']}").json
    assert [each["id"] for each in first["annotations"] + rest["annotations"]] == ids
    assert first["counts"]["records"] == 5 and rest["counts"] is None and rest["next"] is None
    empty = send(annotate, "GET", "/annotations", query="dataset=other").json
    assert empty["annotations"] == [] and empty["counts"]["records"] == 0


def test_an_annotation_is_edited_and_keeps_its_image_and_id(annotate: Call):
    id = send(annotate, "POST", "/annotations", said(image(1), label="cat")).json["id"]
    path = f"/annotations/{id}"
    seen = send(annotate, "GET", path)
    edited = send(annotate, "PUT", path, {"label": "dog", "split": "validation"}, if_match=seen.headers["etag"])
    assert edited.status == 200
    now = send(annotate, "GET", path)
    assert now.json == edited.json == {**seen.json, "label": "dog", "split": "validation"}
    assert now.headers["etag"] == edited.headers["etag"] != seen.headers["etag"]
    assert post(annotate, said(image(1), label="cat")).json[0]["new"] is False
    assert send(annotate, "GET", path).json["label"] == "dog"


def test_an_edit_of_what_was_changed_meanwhile_is_refused(annotate: Call):
    path = f"/annotations/{send(annotate, 'POST', '/annotations', said(image(1), label='cat')).json['id']}"
    seen = send(annotate, "GET", path).headers["etag"]
    send(annotate, "PUT", path, {"label": "dog"})
    assert send(annotate, "PUT", path, {"label": "owl"}, if_match=seen).status == 412
    assert send(annotate, "DELETE", path, if_match=seen).status == 412
    assert send(annotate, "GET", path).json["label"] == "dog"
    assert send(annotate, "PUT", path, {"sentences": []}).status == 400


def test_a_deleted_annotation_is_gone_and_its_image_stays(annotate: Call, bucket: Any):
    id = send(annotate, "POST", "/annotations", said(image(1), label="cat")).json["id"]
    assert send(annotate, "DELETE", f"/annotations/{id}", query="dataset=other").status == 404
    assert send(annotate, "DELETE", f"/annotations/{id}").status == 204
    assert send(annotate, "GET", f"/annotations/{id}").status == 404
    assert send(annotate, "DELETE", f"/annotations/{id}").status == 404
    assert len(keys(bucket, "images/")) == 1
    assert "id is 'x'" in send(annotate, "GET", "/annotations/x").detail


def test_an_image_is_forgotten_with_all_that_was_said_of_it_and_all_former_versions(annotate: Call, bucket: Any):
    bucket.Versioning().enable()
    for dataset in ("one", "two"):
        post(annotate, *(said(image(n), label=label, dataset=dataset) for n in (1, 2) for label in ("cat", "pet")))
    digest = sha256(image(1)).hexdigest()
    (deleted, *_) = [
        each["id"]
        for each in send(annotate, "GET", "/annotations", query="dataset=one").json["annotations"]
        if each["image"] == digest
    ]
    send(annotate, "DELETE", f"/annotations/{deleted}", query="dataset=one")
    answer = send(annotate, "DELETE", "/annotations", query=f"image={digest}")
    assert answer.json == {"image": digest, "annotations": 3}
    left = [version.object_key for version in bucket.object_versions.all()]
    assert len(left) == 6 and not any(digest[:24] in key for key in left)
    assert send(annotate, "DELETE", "/annotations", query=f"image={digest}").status == 404
    assert send(annotate, "DELETE", "/annotations").status == 400
    bucket.object_versions.delete()


@pytest.mark.parametrize("dataset", ["Weld", "a/b", "..", "x" * 64])
def test_a_dataset_has_a_plain_name(annotate: Call, dataset: str):
    assert send(annotate, "POST", "/annotations", said(image(1), label="cat", dataset=dataset)).status == 400
    assert send(annotate, "GET", "/annotations", query=f"dataset={dataset}").status == 400
