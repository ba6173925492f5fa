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
TEMPERATURE = 2.0
"""Of the answers to a reference set, so that words count that are not the best (Hinton et al. 2015). Only answers to
images are kept there: from texts to images more than half of the loss was the new texts', and these have to move.
"""


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
        if self.weight and batch:
            told, known = student[:batch], teacher[:batch]
            total = total + self.weight * (_divergence(told, known) + _divergence(told.T, known.T)) / 2
        if self.reference_weight and reference:
            told, known = student[batch:] / TEMPERATURE, teacher[batch:] / TEMPERATURE
            total = total + self.reference_weight * TEMPERATURE**2 * _divergence(told, known)
        return total


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean KL divergence of each row's probabilities from the teacher's. shape = []"""
    return kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)


def bank_sentences(seed: int, step: int, count: int) -> tuple[str, ...]:
    """Different words of the bank, each in one of the wordings; a pure function of (seed, step)."""
    rng = np.random.default_rng((seed, step))
    words = rng.choice(len(WORDS), min(count, len(WORDS)), replace=False)
    wordings = [said_in_training(WORDS[word]) for word in words]
    return tuple(said[rng.integers(len(said))] for said in wordings)
