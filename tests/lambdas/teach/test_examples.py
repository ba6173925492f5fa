from contract.annotations import Annotation
from contract.perceptual_hash import DIGITS
from contract.questions import Question
from lambdas.aws.s3 import Store
from lambdas.stored.annotations import AnnotationStore
from lambdas.teach.examples import Annotations, Said, counts, digest, examples_of, said_by, sample
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.teach.conftest import Stage

QUESTION = Question(candidate_labels="cat, dog, owl")


def said(image: str, label: str | None, task: str | None = None, split: str | None = None) -> Said:
    return Said(f"{image}-{label}", "default", image, label, task, split)


def taught(*every: Said) -> list[tuple[str, int]]:
    return [(each.said.image, each.label) for each in examples_of("pet", QUESTION, every)]


def test_labels_teach_in_any_spelling_that_the_model_reads_alike() -> None:
    question = Question(candidate_labels=["CAT", "a  dog"])
    known = {"id": "1", "dataset": "default", "image": "a" * 64, "perceptual_hash": "0" * DIGITS, "created": ""}
    every = [Annotation(**known, source="api", label=label) for label in ("Cat", "A dog", "a dogfish")]
    found = examples_of(
        "pet",
        question,
        [said_by(Annotation(**{**each.model_dump(), "image": f"{n}" * 64})) for n, each in enumerate(every)],
    )
    assert [each.label for each in found] == [0, 1]


def test_an_annotation_of_another_task_or_without_a_known_label_teaches_nothing() -> None:
    assert taught(said("1", "cat", "pet"), said("2", "cat", "mood"), said("3", "fox"), said("4", None)) == [("1", 0)]


def test_what_anybody_has_kept_back_is_not_learnt_from() -> None:
    every = [said("1", "cat", split="train"), said("2", "cat"), said("3", "dog", split="validation"), said("4", "dog")]
    assert taught(*every, said("2", "owl", "mood", "test")) == [("1", 0), ("4", 1)]


def test_an_image_teaches_a_label_once_and_may_teach_two() -> None:
    assert taught(said("1", "cat"), said("1", "cat", "pet"), said("1", "dog")) == [("1", 0), ("1", 1)]


def test_a_sample_has_as_many_of_each_label_as_it_can_and_is_always_the_same() -> None:
    every = examples_of("pet", QUESTION, [said(f"{n:02}", "cat") for n in range(20)] + [said("x", "dog")])
    few = sample(every, 5)
    assert sorted(each.label for each in few) == [0, 0, 0, 0, 1]
    assert few == sample(every[::-1], 5) and len(sample(every, 100)) == 21
    assert counts(every, QUESTION) == {"cat": 20, "dog": 1, "owl": 0}


def test_a_lesson_is_another_one_if_anything_differs_that_it_depends_on() -> None:
    every = examples_of("pet", QUESTION, [said("1", "cat"), said("2", "dog")])
    same = digest("question", "tiny@1", every)
    assert same == digest("question", "tiny@1", every[::-1])
    others = [
        digest("other", "tiny@1", every),
        digest("question", "tiny@2", every),
        digest("question", "tiny@1", every[:1]),
        digest("question", "tiny@1", examples_of("pet", QUESTION, [said("1", "dog"), said("2", "dog")])),
    ]
    assert len({same, *others}) == 5


def test_a_record_that_has_not_changed_is_read_once(stage: Stage) -> None:
    read: list[str] = []

    class Counting(Store):
        def read(self, key: str):  # type: ignore[no-untyped-def]
            read.append(key)
            return super().read(key)

    store = AnnotationStore(Counting(SETTINGS.data_bucket, stage.connect))
    annotations = Annotations(store)
    ids = [stage.say(number, "cat") for number in range(3)]
    assert [each.label for each in annotations.read(store.states(), lambda _: None)] == ["cat"] * 3
    assert len(read) == 3
    stage.ask("PUT", f"/annotations/{ids[0]}", {"label": "dog"}), stage.ask("DELETE", f"/annotations/{ids[1]}")
    after = annotations.read(store.states(), lambda _: None)
    assert sorted(str(each.label) for each in after) == ["cat", "dog"] and len(read) == 4
