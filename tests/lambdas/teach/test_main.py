import threading
from typing import Any

import pytest

from contract.annotations import Annotation, annotation_key
from contract.limits import MAX_LABELS, MAX_TAUGHT_LABELS, MAX_TAUGHT_SCORES
from contract.perceptual_hash import DIGITS
from contract.problems import BadGateway, InternalError, ServiceUnavailable
from contract.taught import Progress, embedding_key
from lambdas.aws.executions import STEP_MS
from lambdas.stored.teachings import LEASE_S
from lambdas.teach import main
from lambdas.teach.examples import READ_ANNOTATIONS
from lambdas.teach.main import BUSY_ATTEMPTS, DEBOUNCE_S, MAX_PAUSE_S
from tests.lambdas.conftest import CONTEXT, TEACH_SETTINGS
from tests.lambdas.object_store import Version
from tests.lambdas.teach.conftest import Stage, busy_for, digest


def test_a_task_answers_otherwise_as_soon_as_images_with_its_labels_are_annotated(stage: Stage) -> None:
    stage.save()
    by_words = stage.classified().json
    assert stage.taught() is None
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    stage.teach()
    taught = stage.taught()
    assert (taught["state"], taught["teaching"], taught["progress"]) == ("live", False, None)
    assert taught["learnt"]["images"] == {"cat": 2, "dog": 2} and taught["learnt"]["reason"] is None
    assert taught["learnt"]["before"]["accuracy"] == 0.5 and taught["learnt"]["after"]["accuracy"] == 0.75
    (head,) = taught["heads"]
    assert head["sha256"] == taught["head"] and head["images"] == 4 and head["model_version"] == "tiny@1"
    answer = stage.classified()
    assert answer.json != by_words and answer.headers["x-task-version"] == f"pet={taught['head'][:12]}"
    assert stage.classified(taught=False).json == by_words


def test_only_the_tasks_that_an_annotation_concerns_are_taught(stage: Stage) -> None:
    for task, labels in (("pet", "cat, dog"), ("animal", "Cat, owl, dog"), ("mood", "happy, sad"), ("own", "cat, dog")):
        stage.save(task, candidate_labels=labels)
    stage.teach()
    for number in range(2):
        stage.say(number, "cat"), stage.say(10 + number, "dog")
        stage.say(20 + number, "cat", task="own"), stage.say(30 + number, "dog", task="own")
    events, stage.functions.begun = stage.functions.begun, []
    assert {"tasks": [], "labels": ["cat"]} in events and {"tasks": ["own"], "labels": []} in events
    for event in events:
        stage.teach(**event)
    assert stage.taught("pet")["learnt"]["images"] == {"cat": 2, "dog": 2}
    assert stage.taught("animal")["learnt"]["images"] == {"Cat": 2, "owl": 0, "dog": 2}
    assert stage.taught("own")["learnt"]["images"] == {"cat": 4, "dog": 4}
    assert "no annotation has one of its labels" in stage.taught("mood")["learnt"]["reason"]


def test_every_saved_task_is_meant_where_nothing_is_named_and_one_that_is_not_saved_is_passed_over(
    stage: Stage,
) -> None:
    stage.save("pet"), stage.save("other", candidate_labels="cat, dog, owl")
    stage.functions.begun.clear()
    stage.say(1, "cat", task="unsaved"), stage.teach()
    assert stage.keys("taught/") == []
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    stage.teach(tasks=[], labels=[])
    assert stage.taught("pet")["state"] == stage.taught("other")["state"] == "live"


def test_nothing_is_learnt_twice_and_a_burst_is_one_lesson(stage: Stage) -> None:
    stage.pets()
    lessons = [request for request in stage.sagemaker.requests if request.operation == "teach"]
    assert len(lessons) == 1 and stage.pauses_s[0] == DEBOUNCE_S
    stage.teach(tasks=["pet"])
    assert len([request for request in stage.sagemaker.requests if request.operation == "teach"]) == 1


def test_whoever_finds_a_worker_at_a_task_ends_and_the_worker_sees_what_has_changed(stage: Stage) -> None:
    """The second worker comes while the first one rests, and so does one more annotation."""
    stage.save()
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    rested: list[Any] = []

    def meanwhile(_: float) -> None:
        if len(rested) == 1:  # after the first one has looked
            return
        rested.append(None)
        late = Stage(stage.objects, stage.sagemaker)
        late.teach(tasks=["pet"])
        assert late.pauses_s == [], "it found the first one at work"

    stage.teacher._pause = meanwhile
    teach = stage.sagemaker.learns.lesson

    def lesson(request: Any, version: str) -> Any:
        if len(request.labels) == 4:
            stage.say(9, "cat")
        return teach(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    stage.teach(tasks=["pet"])
    assert stage.taught()["learnt"]["images"] == {"cat": 3, "dog": 2}
    assert len(stage.taught()["heads"]) == 2


def test_a_worker_that_died_keeps_others_away_for_a_while_only(stage: Stage) -> None:
    stage.pets()
    stage.say(9, "cat")
    stage.teachings.update("pet", lambda now: now.model_copy(update={"busy_until_epoch_s": busy_for(LEASE_S)}))
    stage.teach()
    assert stage.taught()["teaching"] and stage.taught()["learnt"]["images"]["cat"] == 2
    stage.teachings.update("pet", lambda now: now.model_copy(update={"busy_until_epoch_s": busy_for(-1)}))
    stage.teach(tasks=["pet"])
    assert not stage.taught()["teaching"] and stage.taught()["learnt"]["images"]["cat"] == 3


def test_workers_that_come_at_once_leave_one_state_that_has_all(stage: Stage) -> None:
    stage.save()
    for number in range(6):
        stage.say(number, ("cat", "dog")[number % 2])
    workers = [Stage(stage.objects, stage.sagemaker) for _ in range(4)]
    threads = [threading.Thread(target=worker.teach, kwargs={"tasks": ["pet"]}) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stage.taught()["learnt"]["images"] == {"cat": 3, "dog": 3} and not stage.taught()["teaching"]


def test_with_another_model_words_answer_until_the_images_have_vectors_of_it(stage: Stage) -> None:
    stage.pets()
    head = stage.taught()["head"]
    stage.sagemaker.says = type(stage.sagemaker.says)("tiny@2", 0, 77, {})
    assert stage.classified().headers["x-task-version"].startswith("pet=words-")
    assert stage.classified().json == stage.classified(taught=False).json
    stage.teach(tasks=[], labels=[])
    assert stage.taught()["learnt"]["model_version"] == "tiny@2" and stage.taught()["head"] != head
    assert stage.classified().headers["x-task-version"] == f"pet={stage.taught()['head'][:12]}"
    assert [each["model_version"] for each in stage.taught()["heads"]] == ["tiny@2", "tiny@1"]
    assert len(stage.keys("embeddings/")) == 8


def test_while_the_model_is_being_replaced_it_is_tried_again_later(stage: Stage) -> None:
    """The endpoint says one version when it is asked for it, and another one looks at the images."""
    stage.pets()
    first, second = stage.sagemaker.says, type(stage.sagemaker.says)("tiny@2", 0, 77, {})
    stage.teacher._endpoint.version = lambda: "tiny@2"  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable, match="being replaced"):
        stage.teach(tasks=["pet"])
    assert stage.taught()["learnt"]["model_version"] == "tiny@1" and not stage.taught()["teaching"]
    assert first != second


def test_a_worker_whose_time_is_short_says_so_and_the_next_one_goes_on(stage: Stage) -> None:
    stage.save()
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    stage.left_ms = STEP_MS - 1
    with pytest.raises(ServiceUnavailable, match="another worker goes on"):
        stage.teach(tasks=["pet"])
    assert not stage.taught()["teaching"]
    stage.left_ms = STEP_MS
    stage.teach(tasks=["pet"])
    assert stage.taught()["state"] == "live"


def test_a_busy_endpoint_is_waited_for_within_bounds(stage: Stage) -> None:
    stage.save()
    stage.sagemaker.failure = (429, "ThrottlingException", {"message": "Rate exceeded"})
    with pytest.raises(ServiceUnavailable):
        stage.teach(tasks=["pet"])
    assert len(stage.pauses_s) == BUSY_ATTEMPTS and max(stage.pauses_s) <= MAX_PAUSE_S


def test_a_task_that_the_model_fails_at_keeps_no_other_from_being_taught(stage: Stage) -> None:
    for task in ("a", "b"):
        stage.save(task)
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    make, asked = stage.sagemaker.learns.lesson, []

    def lesson(request: Any, version: str) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise InternalError("it is broken")
        return make(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    with pytest.raises(BadGateway, match="the model failed on this request"):
        stage.teach(tasks=["a", "b"])
    assert (stage.taught("a")["state"], stage.taught("b")["state"]) == ("words", "live")
    assert not stage.taught("a")["teaching"]


def test_how_far_it_is_can_be_seen(stage: Stage) -> None:
    stage.pets()
    stage.teachings.take("pet")
    stage.teachings.tell("pet", Progress(done=3, of=8))
    assert stage.taught()["teaching"] and stage.taught()["progress"] == {"done": 3, "of": 8}


@pytest.mark.usefixtures("bucket")
def test_the_function_reads_its_event_and_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TEACH_SETTINGS.to_env().items():
        monkeypatch.setenv(name, value)
    main._teacher.cache_clear()
    assert main.handler({"tasks": ["unsaved"]}, CONTEXT) is None  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="extra_forbidden"):
        main.handler({"task": "unsaved"}, CONTEXT)  # type: ignore[arg-type]
    main._teacher.cache_clear()


def test_what_was_erased_while_it_was_being_learnt_from_is_not_kept(stage: Stage) -> None:
    stage.save()
    for number in range(6):
        stage.say(number, ("cat", "dog")[number % 2])
    teach = stage.sagemaker.learns.lesson

    def lesson(request: Any, version: str) -> Any:
        if len(request.labels) == 6:
            assert stage.ask("DELETE", "/annotations", query=f"image={digest(0)}").status == 200
        return teach(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    stage.teach(tasks=["pet"])
    assert stage.taught()["learnt"]["images"] == {"cat": 2, "dog": 3} and len(stage.taught()["heads"]) == 1
    left = [
        each.content or b"" for key in stage.objects.versions for each in stage.objects.versions[key] if "heads/" in key
    ]
    assert not any(digest(0)[:24].encode() in content for content in left)
    assert any(digest(1)[:24].encode() in content for content in left)


@pytest.mark.slow
def test_of_too_many_annotations_some_of_each_dataset_are_looked_at_and_it_says_so(
    stage: Stage,
) -> None:
    labels = [f"label {number}" for number in range(MAX_LABELS)]
    stage.save("small"), stage.save("most", candidate_labels=labels[:MAX_TAUGHT_LABELS])
    stage.save("more", candidate_labels=labels)
    made = {"perceptual_hash": "0" * DIGITS, "created": "", "source": "api"}
    added = {}
    for number in range(READ_ANNOTATIONS + 2_000):
        dataset, label = ("pets", ("cat", "dog")[number % 2]) if number < 20 else ("all", labels[number % 100])
        image = digest(number)
        record = Annotation(id=image[:36], dataset=dataset, image=image, label=label, **made)
        added[annotation_key(dataset, record.id)] = [Version("1", record.model_dump_json().encode())]
        added[embedding_key("tiny@1", image)] = [Version("1", bytes(16))]
    stage.objects.versions = {**stage.objects.versions, **added}
    stage.teach(tasks=["small", "most", "more"])
    small, most, more = (stage.taught(task)["learnt"] for task in ("small", "most", "more"))
    assert small["images"] == {"cat": 10, "dog": 10}
    assert sum(most["images"].values()) == READ_ANNOTATIONS - 20
    assert most["left_out"] == READ_ANNOTATIONS - 20 - MAX_TAUGHT_SCORES // MAX_TAUGHT_LABELS
    for learnt in (small, most, more):
        assert "2,000 annotations were not looked at" in learnt["advice"][0]
    assert "it has 10,000 labels, and at most 1,000 are taught" in more["reason"]
