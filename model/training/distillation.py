"""Knowledge distillation: where nothing of what the base learnt from can be shown again, its answers are kept instead.

On the new images and over a bank of texts, the tuned model is held to the probabilities that the base gives, from
images to texts and back: Learning without Forgetting (Li & Hoiem 2016), for CLIP as in ZSCL (Zheng et al. 2023), which
holds it on other images, too: here on a reference set of the user's own, if there is one.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import kl_div

from model.clip.architecture import DualEncoder, logit_scale
from model.data.class_wording import said_in_training
from model.evaluation.vocabulary import WORDS

BANK_TEXTS = 64
"""Of a step, beside the batch's own captions."""


@dataclass(frozen=True)
class Teacher:
    """The base as it was. `weight`: of its answers to a batch's images in the student's loss; `reference_weight`: of
    those to the reference set's images.
    """

    model: DualEncoder
    weight: float
    seed: int
    reference_weight: float = 0.0

    def texts(self, step: int, known: tuple[str, ...]) -> tuple[str, ...]:
        """The batch's texts, then the bank's of this step that are not among them."""
        return tuple(dict.fromkeys((*known, *bank_sentences(self.seed, step, BANK_TEXTS))))

    def loss(self, student_cosines: Tensor, teacher_cosines: Tensor, reference: int = 0) -> Tensor:
        """How far the student's answers are from the teacher's, in nats, times the weights. Both [images, texts], of
        which the last `reference` images are the reference set's.
        """
        scale, batch = logit_scale(self.model), len(student_cosines) - reference
        student, teacher = scale * student_cosines.float(), scale * teacher_cosines.float()
        total = student.new_zeros(())
        for weight, rows in ((self.weight, slice(batch)), (self.reference_weight, slice(batch, None))):
            if weight and len(student[rows]):
                total = total + weight * _both_ways(student[rows], teacher[rows])
        return total


def _both_ways(student: Tensor, teacher: Tensor) -> Tensor:
    """From images to texts and back. shape = []"""
    return (_divergence(student, teacher) + _divergence(student.T, teacher.T)) / 2


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean KL divergence of each row's probabilities from the teacher's. shape = []"""
    return kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)


def bank_sentences(seed: int, step: int, count: int) -> tuple[str, ...]:
    """Different words of the bank, each in one of the wordings; a pure function of (seed, step)."""
    rng = np.random.default_rng((seed, step))
    words = rng.choice(len(WORDS), min(count, len(WORDS)), replace=False)
    wordings = [said_in_training(WORDS[word]) for word in words]
    return tuple(said[rng.integers(len(said))] for said in wordings)
