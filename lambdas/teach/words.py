"""What came of a lesson, in words: why no head goes live, what would help, and which annotations are doubtful."""

from collections.abc import Mapping, Sequence

from contract.limits import MAX_TAUGHT_LABELS
from contract.problems import shorten
from contract.questions import Question
from contract.taught import SHOWN_DOUBTFUL, SHOWN_LABELS, Doubtful, Head
from contract.teaching import Lesson
from lambdas.stored.datasets import FEW_IMAGES
from lambdas.teach.examples import READ_ANNOTATIONS, Example

LEAST_DOUBT = 0.5
"""What is likelier right than wrong is not shown."""
HELPS = 0.01
"""Of accuracy: what so many images more must bring, or else more of them are not asked for."""
FEWER = 0.6
"""Of the images: an earlier head of no more than this share tells whether the others have helped."""


def untaught(question: Question, examples: Sequence[Example], task: str) -> str | None:
    """Why nothing can be learnt from these annotations, and what would help; None if something can."""
    labels = question.candidate_labels
    if question.multi_label:
        return (
            "its labels are scored each on its own (multi_label): only a task whose labels exclude each other is "
            "taught by annotations at once; POST /trainings teaches any"
        )
    if len(labels) > MAX_TAUGHT_LABELS:
        return f"it has {len(labels):,} labels, and at most {MAX_TAUGHT_LABELS:,} are taught: make several tasks of it"
    taught = {each.label for each in examples}
    if not taught:
        return (
            f"no annotation has one of its labels: POST /annotations with an image, a label such as "
            f'{shorten(labels[0].label)!r} and "task": "{task}"'
        )
    if len(taught) == 1:
        return f"all annotations say {shorten(labels[taught.pop()].label)!r}: annotate images of another label, too"
    return None


def no_gain(lesson: Lesson) -> str | None:
    """Why a head does not go live, and what would help; None for one that gains."""
    if lesson.gain is None:
        return "no label has two images, so that nothing tells whether they help: annotate one more of each label"
    if lesson.gain > 0:
        return None
    return (
        f"shown one image less, the head is no surer of it than the words alone ({lesson.gain:+.3f} nats; accuracy "
        f"{lesson.after.accuracy:.2f}, by words {lesson.before.accuracy:.2f}): more images of each label help, and "
        "looking at the doubtful ones"
    )


def partly_read(unread: int) -> list[str]:
    """That there are more annotations than a lesson looks at, if there are."""
    if not unread:
        return []
    return [f"{unread:,} annotations were not looked at: {READ_ANNOTATIONS:,} are at most, in turns of all datasets"]


def advice(images: Mapping[str, int], lesson: Lesson, heads: Sequence[Head]) -> list[str]:
    """What would make the task better. `heads`: the earlier ones, the newest first."""
    said = []
    if lacking := [label for label, count in images.items() if not count]:
        said.append(f"without an image, and known by words alone: {_named(lacking)}")
    if few := [label for label, count in sorted(images.items(), key=lambda each: each[1]) if 0 < count < FEW_IMAGES]:
        said.append(f"fewer than {FEW_IMAGES} images: {_named([f'{label} ({images[label]})' for label in few])}")
    if not lacking and not few and _helps_no_more(sum(images.values()), lesson, heads):
        said.append(
            "more images hardly help any more: a training may, as it changes the model itself; "
            "POST /trainings?dry_run=true tells what it takes and costs"
        )
    return said


def _helps_no_more(images: int, lesson: Lesson, heads: Sequence[Head]) -> bool:
    earlier = next(
        (head for head in heads if head.images <= FEWER * images and head.model_version == lesson.model_version), None
    )
    return earlier is not None and lesson.after.accuracy - earlier.after.accuracy < HELPS


def doubtful(question: Question, examples: Sequence[Example], lesson: Lesson) -> list[Doubtful]:
    """The annotations that are likeliest wrong, worst first."""
    labels = [label.label for label in question.candidate_labels]
    found = [
        Doubtful(
            id=each.said.id,
            dataset=each.said.dataset,
            image=each.said.image,
            label=labels[each.label],
            answer=labels[answer],
            split=each.said.split,
            doubt=doubt,
        )
        for each, doubt, answer in zip(examples, lesson.doubts, lesson.answers, strict=True)
        if doubt >= LEAST_DOUBT
    ]
    return sorted(found, key=lambda each: (-each.doubt, each.id))[:SHOWN_DOUBTFUL]


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - SHOWN_LABELS
    return ", ".join(map(shorten, labels[:SHOWN_LABELS])) + (f", and {more:,} more" if more > 0 else "")
