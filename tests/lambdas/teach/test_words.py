import pytest

from contract.limits import MAX_TAUGHT_LABELS
from contract.questions import Question
from contract.taught import SHOWN_DOUBTFUL, Head
from contract.teaching import Lesson, Worth
from lambdas.stored.datasets import FEW_IMAGES
from lambdas.teach.examples import Example, Said
from lambdas.teach.words import advice, doubtful, no_gain, partly_read, untaught

QUESTION = Question(candidate_labels="cat, dog, owl")


def example(number: int, label: int) -> Example:
    return Example(Said(f"{number:036}", "default", f"{number:064}", "any", None, "train"), label)


def worth(accuracy: float) -> Worth:
    return Worth(accuracy=accuracy, calibration_error=0.1)


def lesson(gain: float | None = 0.1, accuracy: float = 0.9, doubts: tuple[float, ...] = ()) -> Lesson:
    return Lesson(
        head="",
        sha256="0" * 64,
        model_version="tiny@1",
        question="0" * 64,
        images=[],
        before=worth(0.5),
        after=worth(accuracy),
        gain=gain,
        doubts=list(doubts),
        answers=[2] * len(doubts),
    )


def head(images: int, accuracy: float, version: str = "tiny@1") -> Head:
    told = {"before": worth(0.5), "after": worth(accuracy), "gain": 0.1}
    return Head(sha256="1" * 64, model_version=version, created="", images=images, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "question, labels, words",
    [
        (QUESTION, [], "no annotation has one of its labels"),
        (QUESTION, [1, 1, 1], "all annotations say 'dog': annotate images of another label"),
        (Question(candidate_labels="cat, dog", multi_label=True), [0, 1], "multi_label"),
        (Question(candidate_labels=[str(n) for n in range(MAX_TAUGHT_LABELS + 1)]), [0, 1], "1,001 labels"),
    ],
)
def test_a_task_that_can_t_be_taught_is_told_why(question: Question, labels: list[int], words: str) -> None:
    examples = [example(number, label) for number, label in enumerate(labels)]
    assert words in str(untaught(question, examples, "pet"))


def test_two_labels_with_an_image_can_be_taught() -> None:
    assert untaught(QUESTION, [example(0, 0), example(1, 2)], "pet") is None


def test_only_what_gains_goes_live() -> None:
    assert no_gain(lesson(0.001)) is None
    assert "no surer of it than the words" in str(no_gain(lesson(0.0)))
    assert "(-0.200 nats; accuracy 0.90, by words 0.50)" in str(no_gain(lesson(-0.2)))
    assert "annotate one more of each label" in str(no_gain(lesson(None)))


def test_labels_that_lack_images_are_named() -> None:
    said = advice({"cat": 20, "dog": 3, "owl": 0}, lesson(), [])
    assert said == ["without an image, and known by words alone: owl", f"fewer than {FEW_IMAGES} images: dog (3)"]
    many = {f"label {number}": 0 for number in range(30)}
    assert advice(many, lesson(), [])[0].endswith("label 4, and 25 more")


def test_a_training_is_suggested_when_more_images_stop_helping() -> None:
    enough = {"cat": 40, "dog": 40}
    assert "POST /trainings?dry_run=true" in advice(enough, lesson(accuracy=0.9), [head(78, 0.9), head(40, 0.895)])[0]
    assert advice(enough, lesson(accuracy=0.9), [head(78, 0.9), head(40, 0.8)]) == [], "they have helped"
    assert advice(enough, lesson(accuracy=0.9), [head(78, 0.9)]) == [], "nobody knows yet"
    assert advice(enough, lesson(accuracy=0.9), [head(40, 0.9, "tiny@0")]) == [], "it was another model"


def test_the_likeliest_wrong_come_first_and_what_is_likelier_right_is_not_named() -> None:
    found = doubtful(QUESTION, [example(n, n % 2) for n in range(4)], lesson(doubts=(0.6, 0.1, 0.9, 0.4)))
    assert [(each.id, each.label, each.answer, each.doubt, each.split) for each in found] == [
        (f"{2:036}", "cat", "owl", 0.9, "train"),
        (f"{0:036}", "cat", "owl", 0.6, "train"),
    ]
    many = [example(n, 0) for n in range(50)]
    assert len(doubtful(QUESTION, many, lesson(doubts=(0.9,) * 50))) == SHOWN_DOUBTFUL


def test_it_is_said_how_many_annotations_were_not_looked_at() -> None:
    assert partly_read(0) == []
    assert "80,000 annotations were not looked at: 20,000 are at most" in partly_read(80_000)[0]
