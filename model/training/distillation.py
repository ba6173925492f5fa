"""Knowledge distillation: where nothing of what the base learnt from can be shown again, its answers are kept instead.

On the new images, and over a bank of texts, the tuned model is held to the probabilities that the base gives: Learning
without Forgetting (Li & Hoiem 2016), for CLIP as in ZSCL (Zheng et al. 2023), which holds it on other images: here on a
reference set of the user's own in their place, if there is one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from model.clip.architecture import DualEncoder, logit_scale
from model.data.class_wording import with_article
from model.data.reference import Sentences
from model.evaluation.vocabulary import KINDS

QUESTION_WORDS = 32
"""Of a question that a step asks, at most."""
OPENINGS = (
    "", "a photo of ", "a picture of ", "an image of ", "a drawing of ", "a close-up of ", "a view of ", "here is ",
    "there is ", "it is ", "it shows ", "one can see ", "look at ", "an example of ", "what is shown is ",
    "it looks like ", "we found ", "the image has ", "nothing but ",
)  # fmt: skip
ENDINGS = ("", ".", " here", " in it", " again", " in the middle", " to look at")
WORDINGS = tuple(opening + "{}" + ending for opening in OPENINGS for ending in ENDINGS)
"""Of questions. The base's answers are right in any wording, so there are many. With the twelve alone that labels are
taught in, the answers in other wordings moved by themselves, to a whole kind of question at once.
"""
SAVED_TASKS = 4
"""That a step asks, at most."""


@dataclass(frozen=True)
class Asked:
    """The texts of a step, and where among them the words of each question are."""

    texts: tuple[str, ...]
    questions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Teacher:
    """The base as it was. `weight`: of its answers to a batch's images in the student's loss; `reference_weight`: of
    those to the reference set's images, to which `saved` are questions, too: sentences of each label.
    """

    model: DualEncoder
    weight: float
    seed: int
    reference_weight: float = 0.0
    saved: tuple[Sentences, ...] = ()

    def asked(self, step: int, known: tuple[str, ...]) -> Asked:
        """The batch's texts, then those of this step's questions that are not among them."""
        questions = [*bank_questions(self.seed, step), *saved_questions(self.saved, self.seed, step)]
        texts = tuple(dict.fromkeys((*known, *(text for question in questions for text in question))))
        places = {text: place for place, text in enumerate(texts)}
        return Asked(texts, tuple(tuple(places[text] for text in question) for question in questions))

    def loss(self, student_cosines: Tensor, teacher_cosines: Tensor, asked: Asked, reference: int = 0) -> Tensor:
        """How far the student's answers are from the teacher's, in nats, times the weights. Both [images, texts], of
        which the last `reference` images are the reference set's.

        Each question is one of its own: among all texts what an image shows comes first by far, and the answers to how
        many and where could move unseen. Of the batch's own texts none is asked, and answers to images alone are kept,
        not which image answers a text: what is said of the new has to move.
        """
        scale, batch = logit_scale(self.model), len(student_cosines) - reference
        student, teacher = scale * student_cosines.float(), scale * teacher_cosines.float()
        total = student.new_zeros(())
        for images, weight in ((slice(batch), self.weight), (slice(batch, None), self.reference_weight)):
            told, known = student[images], teacher[images]
            if weight and len(told):
                moved = [_divergence(told[:, words], known[:, words]) for words in asked.questions]
                total = total + weight * torch.stack(moved).mean()
        return total


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean KL divergence of each row's probabilities from the teacher's. shape = []"""
    return kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)


def bank_questions(seed: int, step: int) -> list[tuple[str, ...]]:
    """Different words of each kind of the vocabulary, all of a kind in one wording; a pure function of (seed, step)."""
    rng = np.random.default_rng((seed, step))
    questions = []
    for kind in KINDS:
        words = rng.choice(len(kind), min(QUESTION_WORDS, len(kind)), replace=False)
        wording, article = WORDINGS[rng.integers(len(WORDINGS))], rng.random() < 0.5
        said = (with_article(kind[word]) if article else kind[word] for word in words)
        questions.append(tuple(map(wording.format, said)))
    return questions


def saved_questions(saved: tuple[Sentences, ...], seed: int, step: int) -> list[tuple[str, ...]]:
    """Different labels of some saved tasks, each in one of its sentences; a pure function of (seed, step)."""
    rng = np.random.default_rng((seed, step, SAVED_TASKS))
    questions = []
    for task in rng.choice(len(saved), min(SAVED_TASKS, len(saved)), replace=False) if saved else ():
        labels = rng.choice(len(saved[task]), min(QUESTION_WORDS, len(saved[task])), replace=False)
        questions.append(tuple(saved[task][label][rng.integers(len(saved[task][label]))] for label in labels))
    return questions
