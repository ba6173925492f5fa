"""Knowledge distillation: where nothing of what the base learnt from can be shown again, its answers are kept instead.

On the new images and over a bank of texts, the tuned model is held to the probabilities that the base gives, from
images to texts and back: Learning without Forgetting (Li & Hoiem 2016), for CLIP as in ZSCL (Zheng et al. 2023).
The bank has no data set's classes: it is a wide, plain vocabulary whose answers span what an image model knows about.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import kl_div

from model.clip.architecture import DualEncoder, logit_scale
from model.data.class_wording import said_in_training
from model.world.scene import BACKGROUNDS, COLOURS, COUNTS, POSITIONS, SHAPES, SIZES, TEXTURES, THINGS

BANK_TEXTS = 64
"""Of a step, beside the batch's own captions."""
EVERYDAY = (
    "dog", "cat", "bird", "fish", "horse", "cow", "sheep", "insect", "snake", "wild animal", "farm animal", "pet",
    "person", "child", "crowd", "face", "hand", "flower", "tree", "forest", "leaf", "mushroom", "fruit", "vegetable",
    "bread", "meal", "drink", "cake", "car", "truck", "bus", "train", "bicycle", "boat", "aeroplane", "road",
    "traffic sign", "bridge", "building", "house", "church", "city", "village", "street", "room", "kitchen", "office",
    "shop", "garden", "park", "beach", "sea", "river", "lake", "mountain", "desert", "field", "snow", "sky", "cloud",
    "sunset", "night", "storm", "fire", "rock", "sand", "satellite view", "map", "chair", "table", "bed", "lamp",
    "window", "door", "stairs", "bottle", "cup", "plate", "bag", "box", "book", "newspaper", "toy", "ball", "tool",
    "machine", "computer", "telephone", "camera", "screen", "clock", "musical instrument", "weapon", "clothes", "shoe",
    "hat", "jewellery", "medical scan", "cell under a microscope", "painting", "drawing", "cartoon", "logo",
    "photograph", "diagram", "text", "handwriting", "number", "letter", "pattern", "metal", "wood", "stone", "glass",
    "fabric", "plastic", "paper", "water", "skin", "fur", "sport", "game", "party", "work", "travel",
)  # fmt: skip
PLAIN = (*SHAPES, *THINGS, *COLOURS, *COUNTS, *TEXTURES, *SIZES, *BACKGROUNDS, *POSITIONS)
WORDS = tuple(dict.fromkeys((*EVERYDAY, *PLAIN)))


@dataclass(frozen=True)
class Teacher:
    """The base as it was. `weight`: of its answers in the student's loss."""

    model: DualEncoder
    weight: float
    seed: int

    def texts(self, step: int, known: tuple[str, ...]) -> tuple[str, ...]:
        """The batch's texts, then the bank's of this step that are not among them."""
        return tuple(dict.fromkeys((*known, *bank_sentences(self.seed, step, BANK_TEXTS))))

    def loss(self, student_cosines: Tensor, teacher_cosines: Tensor) -> Tensor:
        """How far the student's answers are from the teacher's, in nats, times the weight. Both [images, texts]."""
        scale = logit_scale(self.model)
        student, teacher = scale * student_cosines.float(), scale * teacher_cosines.float()
        return self.weight * (_divergence(student, teacher) + _divergence(student.T, teacher.T)) / 2


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean KL divergence of each row's probabilities from the teacher's. shape = []"""
    return kl_div(student.log_softmax(dim=1), teacher.log_softmax(dim=1), reduction="batchmean", log_target=True)


def bank_sentences(seed: int, step: int, count: int) -> tuple[str, ...]:
    """Different words of the bank, each in one of the wordings; a pure function of (seed, step)."""
    rng = np.random.default_rng((seed, step))
    words = rng.choice(len(WORDS), min(count, len(WORDS)), replace=False)
    wordings = [said_in_training(WORDS[word]) for word in words]
    return tuple(said[rng.integers(len(said))] for said in wordings)
