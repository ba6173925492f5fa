"""The teacher: what annotated images teach, what it is worth, and what it refuses."""

import asyncio
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from contract.problems import BadRequest, TooManyRequests
from contract.questions import Question
from contract.teaching import Lesson, TeachRequest, embedding_bytes, head_digest, question_digest
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.head import fit_head
from model.serving.heads import ServedHead, numbers_of
from model.serving.labels import LabelSet
from model.serving.teacher import MAX_WAITING, Teacher

QUESTION = Question.model_validate({"candidate_labels": ["cat", "dog", "fish"]})
WIDTH = 16


@pytest.fixture(scope="module")
def clip(calibrated_checkpoint_dir: Path) -> Clip:
    return Clip(load_checkpoint(calibrated_checkpoint_dir))


def pictures(each: int, *labels: int, seed: int = 0) -> tuple[torch.Tensor, list[int]]:
    """So many embeddings around a place of each label, and their labels."""
    places = normalize(torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(7)), dim=1)
    targets = [label for label in labels for _ in range(each)]
    noise = torch.randn(len(targets), WIDTH, generator=torch.Generator().manual_seed(seed))
    return normalize(places[targets] + 0.1 * noise, dim=1), targets


def request(images: torch.Tensor, labels: list[int], question: Question = QUESTION) -> TeachRequest:
    return TeachRequest(question, [numbers_of(each) for each in images], labels)


def label_set(clip: Clip, question: Question = QUESTION) -> LabelSet:
    return LabelSet(clip.embed_question(question), 0, question_digest(question))


def taught(clip: Clip, images: torch.Tensor, labels: list[int]) -> tuple[Lesson, ServedHead]:
    return asyncio.run(Teacher(clip).teach(request(images, labels), label_set(clip)))


def test_a_lesson_tells_its_head_and_what_it_is_worth(clip: Clip) -> None:
    lesson, head = taught(clip, *pictures(6, 0, 1, 2))
    file = embedding_bytes(lesson.head, "the head")
    assert (lesson.sha256, file) == (head_digest(file), head.write())
    assert (lesson.model_version, lesson.question) == ("tiny-2", question_digest(QUESTION))
    assert lesson.images == [6, 6, 6]
    assert lesson.answers == [0] * 6 + [1] * 6 + [2] * 6
    assert (lesson.after.accuracy, lesson.before.accuracy < 0.9) == (1, True)
    assert lesson.gain is not None and lesson.gain > 0.2
    assert Lesson.model_validate_json(lesson.model_dump_json()) == lesson
    asked, targets = pictures(20, 0, 1, 2, seed=1)
    assert head.scores(asked).argmax(dim=1).tolist() == targets


def test_the_words_are_taken_as_they_are_served(clip: Clip) -> None:
    """With a temperature of 2: at another one their calibration would be another, and what is learnt beside them."""
    images, labels = pictures(6, 0, 1, 2)
    texts = clip.embed_question(QUESTION).labels
    _, head = taught(clip, images, labels)
    expected = fit_head(images, torch.tensor(labels), texts, clip.logit_scale / 2, clip.background).head
    assert clip.background is not None and torch.equal(head.head.weights, expected.weights)
    lesson, _ = taught(clip, images, labels)
    scores = (clip.logit_scale / 2 * images @ clip.embed_question(QUESTION).labels.T).softmax(dim=1)
    sure, answered = scores.max(dim=1)
    right = (answered == torch.tensor(labels)).float()
    assert lesson.before.accuracy == pytest.approx(float(right.mean()))
    bins = (sure * 15).long()
    errors = [abs(float((right - sure)[bins == each].sum())) for each in range(15)]
    assert lesson.before.calibration_error == pytest.approx(sum(errors) / len(labels), abs=1e-5)


def test_a_wrong_label_is_doubted(clip: Clip) -> None:
    images, labels = pictures(8, 0, 1, 2)
    labels[3] = 2
    lesson, _ = taught(clip, images, labels)
    assert max(range(24), key=lesson.doubts.__getitem__) == 3
    assert lesson.answers[3] == 0


def test_a_label_without_images_is_told_by_its_words(clip: Clip) -> None:
    lesson, head = taught(clip, *pictures(6, 0, 1))
    assert lesson.images == [6, 6, 0]
    text = clip.embed_question(QUESTION).labels[2:]
    assert head.scores(text).argmax(dim=1).tolist() == [2]


def test_the_same_lesson_gives_the_same_head(clip: Clip) -> None:
    first, second = (taught(clip, *pictures(4, 0, 1, 2))[0].sha256 for _ in range(2))
    assert first == second != taught(clip, *pictures(4, 0, 1, 2, seed=1))[0].sha256


def test_where_nothing_can_be_left_out_no_gain_is_told(clip: Clip) -> None:
    for images, labels in (pictures(1, 0, 1, 2), pictures(5, 0)):
        lesson, head = taught(clip, images, labels)
        assert lesson.gain is None and head.scores(images).isfinite().all()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda images: images[:, :8], "embeddings of 8 numbers, and those of the model tiny-2 have 16"),
        (lambda images: torch.cat([images[:2], images[2:] * torch.nan]), "embedding 2 is no vector of length 1"),
        (lambda images: torch.cat([images[:1], images[1:] * 1.1]), "embedding 1 is no vector of length 1"),
        (lambda images: images * 0, "embedding 0 is no vector of length 1"),
    ],
)
def test_what_is_no_embedding_of_this_model_is_refused(clip: Clip, spoil: object, words: str) -> None:
    images, labels = pictures(2, 0, 1)
    with pytest.raises(BadRequest, match=words):
        taught(clip, spoil(images), labels)  # type: ignore[operator]


def test_who_would_wait_behind_too_many_is_told_so_and_the_others_are_taught(clip: Clip) -> None:
    async def scenario() -> None:
        teacher, asked = Teacher(clip), request(*pictures(2, 0, 1))
        lessons = [asyncio.create_task(teacher.teach(asked, label_set(clip))) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match=f"{MAX_WAITING} other tasks are being taught"):
            await teacher.teach(asked, label_set(clip))
        assert len({lesson.sha256 for lesson, _ in await asyncio.gather(*lessons)}) == 1
        await teacher.teach(asked, label_set(clip))

    asyncio.run(scenario())
