from types import SimpleNamespace

from contract.limits import MAX_INVOCATION_BYTES, MAX_TAUGHT_LABELS
from contract.taught import KEPT_HEADS, Teaching, head_images_key, head_key
from contract.teaching import Lesson, TeachRequest, head_digest, max_taught_images
from lambdas.teach.examples import Said
from lambdas.teach.lesson import Looked, Pupil
from tests.lambdas.teach.conftest import Stage, digest


def test_a_head_is_kept_under_its_sha256_beside_what_it_was_made_of(stage: Stage) -> None:
    stage.pets()
    sha256 = stage.taught()["head"]
    content = stage.store.read_file(head_key("pet", sha256))
    assert content is not None and head_digest(content) == sha256
    made_of = stage.store.read(head_images_key("pet", sha256))
    assert made_of is not None
    assert {each[:24] for each in made_of.value["annotations"]} == {digest(number)[:24] for number in range(4)}


def test_no_head_goes_live_that_is_no_better_than_the_words(stage: Stage) -> None:
    stage.pets()
    live = stage.taught()["head"]
    stage.sagemaker.learns.gain = -0.1
    stage.say(9, "cat"), stage.teach()
    taught = stage.taught()
    assert (taught["state"], taught["head"]) == ("words", None)
    assert "no surer of it than the words" in taught["learnt"]["reason"] and taught["learnt"]["gain"] == -0.1
    assert [head["sha256"] for head in taught["heads"]] == [live], "it can be brought back"
    assert stage.classified().json == stage.classified(taught=False).json


def test_a_task_with_one_label_annotated_says_what_is_lacking_and_asks_no_model(stage: Stage) -> None:
    stage.save()
    for number in range(3):
        stage.say(number, "cat")
    stage.teach()
    taught = stage.taught()
    assert taught["state"] == "words" and "annotate images of another label" in taught["learnt"]["reason"]
    assert taught["learnt"]["images"] == {"cat": 3, "dog": 0}
    assert not [request for request in stage.sagemaker.requests if request.operation == "teach"]


def test_a_new_label_lets_words_answer_until_the_task_is_taught_again(stage: Stage) -> None:
    stage.pets()
    old = stage.taught()["head"]
    stage.functions.begun.clear()
    stage.save(candidate_labels="cat, dog, owl")
    assert "words-" in stage.classified().headers["x-task-version"]
    stage.teach()
    assert stage.taught()["head"] not in (None, old)
    assert stage.taught()["learnt"]["advice"][0] == "without an image, and known by words alone: owl"
    assert "words-" not in stage.classified().headers["x-task-version"]


def test_what_is_of_no_account_to_the_labels_teaches_nothing_new(stage: Stage) -> None:
    stage.pets()
    before = stage.taught()
    stage.save(description="of the house", top_k=1), stage.teach()
    assert stage.taught()["heads"] == before["heads"] and stage.taught()["learnt"] == before["learnt"]


def test_labels_that_are_doubted_are_told_with_where_they_are(stage: Stage) -> None:
    stage.sagemaker.learns.doubts = (0.9,)
    stage.pets()
    (doubtful,) = stage.taught()["learnt"]["doubtful"]
    assert doubtful["doubt"] == 0.9 and doubtful["dataset"] == "default" and doubtful["label"] != doubtful["answer"]
    assert stage.ask("GET", f"/annotations/{doubtful['id']}").json["image"] == doubtful["image"]


def test_the_newest_heads_are_kept_and_no_others(stage: Stage) -> None:
    stage.pets()
    for number in range(KEPT_HEADS):
        stage.say(100 + number, "cat"), stage.teach(tasks=["pet"])
    kept = [head["sha256"] for head in stage.taught()["heads"]]
    assert len(kept) == KEPT_HEADS and kept[0] == stage.taught()["head"]
    files = {key.rpartition("/")[2] for key in stage.objects.versions if key.startswith("heads/")}
    assert files == {f"{sha256}.{kind}" for sha256 in kept for kind in ("json", "safetensors")}


def test_a_task_that_is_deleted_meanwhile_leaves_nothing(stage: Stage) -> None:
    stage.save()
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    make = stage.sagemaker.learns.lesson

    def lesson(request, version):  # type: ignore[no-untyped-def]
        assert stage.ask("DELETE", "/tasks/pet").status == 204
        return make(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    stage.teach(tasks=["pet"])
    assert stage.keys("taught/") == stage.keys("heads/") == []


def test_a_task_that_is_paused_meanwhile_stays_so(stage: Stage) -> None:
    stage.save()
    for number in range(4):
        stage.say(number, ("cat", "dog")[number % 2])
    make = stage.sagemaker.learns.lesson

    def lesson(request, version):  # type: ignore[no-untyped-def]
        assert stage.ask("DELETE", "/tasks/pet/teach").status == 200
        return make(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    stage.teach(tasks=["pet"])
    assert (stage.taught()["state"], stage.taught()["head"]) == ("paused", None)
    assert len(stage.taught()["heads"]) == 1


def test_a_head_that_is_brought_back_meanwhile_stays(stage: Stage) -> None:
    stage.pets()
    first = stage.taught()["head"]
    stage.say(8, "cat"), stage.teach()
    make = stage.sagemaker.learns.lesson

    def lesson(request, version):  # type: ignore[no-untyped-def]
        assert stage.ask("POST", "/tasks/pet/teach", {"head": first}).status == 202
        return make(request, version)

    stage.sagemaker.learns.lesson = lesson  # type: ignore[method-assign]
    stage.say(9, "dog"), stage.teach()
    assert (stage.taught()["head"], stage.taught()["teaching"]) == (first, False)
    assert len(stage.taught()["heads"]) == 3


def test_an_image_that_is_not_there_any_more_is_left_out_and_counted(stage: Stage) -> None:
    stage.pets(3)
    for key in [*stage.keys("embeddings/"), f"images/{digest(0)}"]:
        stage.store.delete(key)
    stage.say(9, "cat")
    Stage(stage.objects, stage.sagemaker, stage.functions).teach()
    learnt = stage.taught()["learnt"]
    assert learnt["images"] == {"cat": 4, "dog": 3} and learnt["left_out"] == 1


def test_more_images_than_a_lesson_takes_are_sampled(stage: Stage) -> None:
    """So many labels that there is no room for more than MAX_TAUGHT_SCORES // labels images."""
    labels = [f"label {number}" for number in range(MAX_TAUGHT_LABELS)]
    most = max_taught_images(len(labels), 4)
    said = [Said(f"{n:036}", "default", f"{n:064}", labels[n % 2], None, None) for n in range(most + 7)]
    looked = Looked("many", {"candidate_labels": labels}, "tiny@1", 0, said, unread=0)
    vectors = SimpleNamespace(of=lambda images, version, tell: dict.fromkeys(images, bytes(16)))

    def ask(request: TeachRequest) -> Lesson:
        return stage.sagemaker.learns.lesson(request, "tiny@1")

    pupil = Pupil(stage.teachings, vectors, ask, MAX_INVOCATION_BYTES)  # type: ignore[arg-type]
    stage.teachings.take("many")
    learnt = pupil.learn(looked, Teaching(), lambda _: None)
    assert learnt and learnt.left_out == 7 and sum(learnt.images.values()) == most + 7
    assert stage.teachings.find("many").heads[0].images == most  # type: ignore[union-attr]
