"""The routes by which tasks are taught, and what other routes have to do with it."""

import base64

from contract.taught import KEPT_HEADS
from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.teach.conftest import Stage, digest


def test_the_etag_of_a_task_does_not_change_when_it_learns(stage: Stage) -> None:
    stage.save()
    seen = stage.ask("GET", "/tasks/pet").headers["etag"]
    stage.pets()
    assert stage.ask("GET", "/tasks/pet").headers["etag"] == seen
    edited = stage.ask("PUT", "/tasks/pet", {**stage.ask("GET", "/tasks/pet").json, "top_k": 1}, **{"if-match": seen})
    assert edited.status == 200 and "taught" not in edited.json
    assert stage.taught()["state"] == "live"


def test_what_is_told_of_it_is_what_the_api_describes(stage: Stage) -> None:
    stage.sagemaker.learns.doubts = (0.9,)
    stage.pets()
    assert conforms(stage.ask("GET", "/tasks/pet").json, "TaskView")
    assert conforms(stage.ask("POST", "/tasks/pet/teach").json, "Taught")
    assert conforms(stage.ask("DELETE", "/tasks/pet/teach").json, "Taught")


def test_whoever_changes_what_is_said_lets_those_tasks_be_taught_that_it_concerns(stage: Stage) -> None:
    stage.save()
    stage.functions.begun.clear()
    id = stage.say(1, "Cat")
    stage.ask("PUT", f"/annotations/{id}", {"label": "dog", "task": "pet"})
    stage.ask("PUT", f"/annotations/{id}", {"sentences": "a dog"})
    stage.ask("DELETE", f"/annotations/{id}")
    assert stage.functions.begun == [
        {"tasks": [], "labels": ["cat"]},
        {"tasks": ["pet"], "labels": ["cat"]},
        {"tasks": ["pet"], "labels": []},
    ], "the last one said nothing with a label"


def test_what_is_stored_is_answered_as_stored_although_lambda_is_silent(stage: Stage) -> None:
    stage.save()
    stage.functions.silent = True
    assert stage.say(1, "cat") and stage.taught() is None
    answer = stage.ask("POST", "/tasks/pet/teach")
    assert answer.status == 503 and answer.headers["retry-after"]


def test_a_task_is_taught_when_it_is_asked_for(stage: Stage) -> None:
    stage.pets()
    answer = stage.ask("POST", "/tasks/pet/teach")
    assert answer.status == 202 and answer.json["teaching"] and stage.taught()["teaching"]
    stage.teach()
    assert not stage.taught()["teaching"] and len(stage.taught()["heads"]) == 1
    assert stage.ask("POST", "/tasks/none/teach").status == 404
    assert stage.ask("DELETE", "/tasks/none/teach").status == 404
    assert "head" in stage.ask("POST", "/tasks/pet/teach", {"head": "abc"}).detail


def test_the_same_request_sent_twice_is_one(stage: Stage) -> None:
    stage.pets()
    for _ in range(2):
        assert stage.ask("POST", "/tasks/pet/teach", **{"idempotency-key": "k"}).status == 202
    assert stage.functions.begun == [{"tasks": ["pet"], "labels": []}]


def test_the_words_come_back_and_stay_until_it_is_taught_again(stage: Stage) -> None:
    stage.pets()
    taught, by_words = stage.classified().json, stage.classified(taught=False).json
    paused = stage.ask("DELETE", "/tasks/pet/teach")
    assert (paused.status, paused.json["state"], paused.json["head"]) == (200, "paused", None)
    assert stage.classified().json == by_words != taught
    stage.say(9, "cat"), stage.teach()
    assert stage.taught()["state"] == "paused" and stage.classified().json == by_words
    stage.ask("POST", "/tasks/pet/teach"), stage.teach()
    assert stage.taught()["state"] == "live" and stage.taught()["learnt"]["images"]["cat"] == 3


def test_an_earlier_head_answers_with_the_same_numbers_until_annotations_change(stage: Stage) -> None:
    stage.pets()
    first, answer = stage.taught()["head"], stage.classified().json
    stage.say(9, "cat"), stage.teach()
    second = stage.taught()["head"]
    assert second != first and stage.classified().json != answer
    assert stage.ask("POST", "/tasks/pet/teach", {"head": first}).json["head"] == first
    stage.teach()
    assert stage.classified().json == answer and stage.taught()["head"] == first
    stage.teach(tasks=[], labels=[])
    assert stage.taught()["head"] == first, "nothing has changed"
    stage.say(10, "dog"), stage.teach()
    assert stage.taught()["head"] not in (first, second)


def test_a_head_that_is_not_kept_can_t_be_brought_back(stage: Stage) -> None:
    stage.pets()
    answer = stage.ask("POST", "/tasks/pet/teach", {"head": "0" * 64})
    assert answer.status == 409 and f"the last {KEPT_HEADS}" in answer.detail


def test_a_task_whose_labels_are_scored_on_their_own_is_not_taught_and_says_so(stage: Stage) -> None:
    stage.save(multi_label=True)
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    stage.teach()
    assert stage.taught()["state"] == "words" and "multi_label" in stage.taught()["learnt"]["reason"]
    answer = stage.ask("POST", "/tasks/pet/teach")
    assert answer.status == 409 and "multi_label" in answer.detail


def test_a_deleted_task_leaves_nothing_of_what_it_has_learnt(stage: Stage) -> None:
    stage.pets()
    assert stage.ask("DELETE", "/tasks/pet").status == 204
    left = {key.partition("/")[0] for key in stage.objects.versions}
    assert not left & {"taught", "heads"}


def test_an_erased_image_leaves_no_vector_and_no_head_that_was_made_of_it(stage: Stage) -> None:
    stage.pets()
    without = stage.taught()["head"]
    stage.say(9, "cat"), stage.teach()
    with_it = stage.taught()["head"]
    assert stage.ask("DELETE", "/annotations", query=f"image={digest(9)}").json["annotations"] == 1
    assert stage.taught()["head"] is None, "the words answer until it is taught anew"
    assert [head["sha256"] for head in stage.taught()["heads"]] == [without]
    assert not any(digest(9) in key or with_it in key for key in stage.objects.versions)
    stage.teach()
    assert stage.taught()["head"] == without and stage.taught()["learnt"]["images"] == {"cat": 2, "dog": 2}


def test_an_image_whose_annotation_was_deleted_before_is_erased_from_heads_all_the_same(stage: Stage) -> None:
    stage.pets()
    id = stage.say(9, "cat")
    stage.teach()
    stage.ask("DELETE", f"/annotations/{id}")
    stage.functions.begun.clear()
    assert stage.ask("DELETE", "/annotations", query=f"image={digest(9)}").status == 200
    assert stage.taught()["head"] is None and stage.functions.begun == [{"tasks": ["pet"], "labels": []}]


def test_an_annotated_image_can_be_had_from_its_address(stage: Stage) -> None:
    stage.say(1, "cat", dataset="pets")
    found = stage.ask("GET", f"/images/{digest(1)}")
    assert found.status == 200 and found.json["image"] == digest(1) and found.json["expires_in_s"] == 900
    assert f"images/{digest(1)}?" in found.json["url"] and "Signature" in found.json["url"]
    assert stage.ask("GET", f"/images/{digest(2)}").status == 404
    assert "64 lower-case hexadecimal digits" in stage.ask("GET", "/images/1").detail
    assert conforms(found.json, "ImageAnswer")


def test_a_small_one_of_it_is_made_once_and_kept_by_browsers(stage: Stage) -> None:
    stage.say(1, "cat")
    asked = len(stage.sagemaker.requests)
    found = stage.ask("GET", f"/images/{digest(1)}", query="size=256")
    assert found.status == 200 and conforms(found.json, "ImageAnswer")
    assert base64.b64decode(found.json["thumbnail"]).endswith(f"256 px of {digest(1)}".encode())
    assert found.headers["cache-control"] == "private, max-age=86400, immutable"
    assert found.headers["etag"] == f'"{digest(1)}-256"' and "x-api-key" in found.headers["vary"]
    assert stage.ask("GET", f"/images/{digest(1)}", query="size=256").json == found.json
    assert len(stage.sagemaker.requests) == asked + 1
    assert stage.keys("thumbnails/") == [f"thumbnails/256/{digest(1)}"]


def test_no_other_size_is_made_and_none_of_no_image(stage: Stage) -> None:
    stage.say(1, "cat")
    refused = stage.ask("GET", f"/images/{digest(1)}", query="size=300")
    assert (
        refused.status == 400 and refused.detail == "size is '300', allowed are 64, 256, 512: pixels of the longer side"
    )
    assert stage.ask("GET", f"/images/{digest(1)}", query="width=64").status == 400
    assert stage.ask("GET", f"/images/{digest(1)}", query="size=").status == 400
    assert stage.ask("GET", f"/images/{digest(2)}", query="size=64").status == 404
    assert stage.ask("GET", "/images/1", query="size=64").status == 400


def test_the_small_ones_of_an_erased_image_are_erased_too(stage: Stage) -> None:
    stage.say(1, "cat")
    stage.ask("GET", f"/images/{digest(1)}", query="size=64")
    stage.ask("DELETE", "/annotations", query=f"image={digest(1)}")
    assert not any(digest(1) in key for key in stage.objects.versions)
