"""One lesson: from what is said of images to a head that answers a task, or to the reason why the words still do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from contract.idempotency import now
from contract.problems import ProblemError, ServiceUnavailable
from contract.questions import Question
from contract.taught import KEPT_HEADS, Head, HeadImages, Learnt, Teaching
from contract.teaching import NUMBER_BYTES, Lesson, TeachRequest, embedding_bytes, max_taught_images, question_digest
from lambdas.aws.s3 import JsonObject
from lambdas.stored.teachings import Teachings
from lambdas.teach.examples import Example, Said, counts, digest, examples_of, sample
from lambdas.teach.vectors import RETRY_AFTER_S, Tell, Vectors
from lambdas.teach.words import advice, doubtful, no_gain, partly_read, untaught


class ErasedMeanwhile(Exception):
    """An image was erased while it may have been learnt from: nothing of the lesson may stay."""


@dataclass(frozen=True)
class Looked:
    """What a lesson begins with: the task's document, and what is said of all images."""

    task: str
    document: JsonObject
    model_version: str
    asked: int
    said: Sequence[Said]
    unread: int
    """Annotations of which it is not known what they say, for there are too many."""

    @cached_property
    def question(self) -> Question:
        return Question.model_validate({name: each for name, each in self.document.items() if name != "description"})

    @cached_property
    def examples(self) -> list[Example]:
        return examples_of(self.task, self.question, self.said)

    @cached_property
    def digest(self) -> str:
        return digest(question_digest(self.question), self.model_version, self.examples)


@dataclass(frozen=True)
class Pupil:
    """Who learns: where it is kept, where vectors come from, and who makes heads."""

    teachings: Teachings
    vectors: Vectors
    ask: Callable[[TeachRequest], Lesson]
    max_bytes: int
    """Of what `ask` is given."""

    def learn(self, looked: Looked, teaching: Teaching, tell: Tell) -> Learnt | None:
        """Let a task learn, and keep what comes of it; None if there is nothing new.

        Raises ErasedMeanwhile, and ServiceUnavailable if it is to be tried again.
        """
        if teaching.restored or teaching.digest == looked.digest:
            said = {"answered": looked.asked, "restored": False, "digest": looked.digest}
            self.teachings.update(looked.task, lambda now: now.model_copy(update=said), absent=None)
            return None
        question, every = looked.question, looked.examples
        learnt = Learnt(
            updated=now(),
            model_version=looked.model_version,
            images=counts(every, question),
            reason=untaught(question, every, looked.task),
            advice=partly_read(looked.unread),
        )
        if learnt.reason is not None:
            self._keep(looked, teaching, learnt, None)
            return learnt
        taught, numbers = self._with_vectors(looked, tell)
        learnt = learnt.model_copy(
            update={"left_out": len(every) - len(taught), "reason": untaught(question, taught, looked.task)}
        )
        if learnt.reason is not None:
            self._keep(looked, teaching, learnt, None)
            return learnt
        try:
            lesson = self.ask(TeachRequest(question, numbers, [each.label for each in taught]))
        except ProblemError as problem:
            if problem.status >= 500:
                raise
            learnt = learnt.model_copy(update={"reason": f"the model can't learn from it: {problem.detail}"})
            self._keep(looked, teaching, learnt, None)
            return learnt
        return self._judge(looked, teaching, learnt, taught, lesson)

    def _with_vectors(self, looked: Looked, tell: Tell) -> tuple[list[Example], list[bytes]]:
        """The images that are taught, with the vector of each: a sample, if there are more than one lesson takes."""
        labels = len(looked.question.candidate_labels)
        some = sample(looked.examples, max_taught_images(labels, 1, self.max_bytes))
        vectors = self.vectors.of([*{each.said.image for each in some}], looked.model_version, tell)
        found = [each for each in some if each.said.image in vectors]
        if found:
            numbers = len(vectors[found[0].said.image]) // NUMBER_BYTES
            found = sample(found, max_taught_images(labels, numbers, self.max_bytes))
        return found, [vectors[each.said.image] for each in found]

    def _judge(
        self, looked: Looked, teaching: Teaching, learnt: Learnt, taught: Sequence[Example], lesson: Lesson
    ) -> Learnt:
        if lesson.model_version != looked.model_version:
            raise ServiceUnavailable("the model is being replaced: try again", retry_after_s=RETRY_AFTER_S)
        learnt = learnt.model_copy(
            update={
                "before": lesson.before,
                "after": lesson.after,
                "gain": lesson.gain,
                "reason": no_gain(lesson),
                "advice": learnt.advice + advice(learnt.images, lesson, teaching.heads),
                "doubtful": doubtful(looked.question, taught, lesson),
            }
        )
        if learnt.reason is not None or lesson.gain is None:
            self._keep(looked, teaching, learnt, None)
            return learnt
        head = Head(
            sha256=lesson.sha256,
            model_version=lesson.model_version,
            created=learnt.updated,
            images=len(taught),
            before=lesson.before,
            after=lesson.after,
            gain=lesson.gain,
        )
        images = HeadImages(annotations=sorted(each.said.id for each in taught))
        self.teachings.keep_head(looked.task, embedding_bytes(lesson.head, "head"), head, images)
        self._keep(looked, teaching, learnt, head)
        return learnt

    def _keep(self, looked: Looked, began: Teaching, learnt: Learnt, head: Head | None) -> None:
        """Write down what came of it, and let the head answer, or the words without one."""
        unlisted = [head.sha256] if head else []

        def change(now: Teaching) -> Teaching:
            if now.erased != began.erased:
                raise ErasedMeanwhile
            heads = [head, *(each for each in now.heads if each.sha256 != head.sha256)] if head else now.heads
            decided = now.paused or now.restored  # meanwhile, by a person
            answers = now.head if decided else head and head.sha256
            kept = [each for place, each in enumerate(heads) if place < KEPT_HEADS or each.sha256 == answers]
            unlisted.extend({each.sha256 for each in heads} - {each.sha256 for each in kept})
            return now.model_copy(
                update={
                    "head": answers,
                    "heads": kept,
                    "learnt": learnt,
                    "answered": looked.asked,
                    "digest": "" if decided else looked.digest,
                }
            )

        try:
            self.teachings.update(looked.task, change, absent=None)
        finally:  # the task may be gone meanwhile, or an image that this head was made of
            self.teachings.forget_unlisted(looked.task, unlisted)
