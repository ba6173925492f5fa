"""The rendered world as training data: true sentences are known, so no true sentence is ever used as a negative."""

import hashlib
from collections.abc import Collection, Iterable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contract.hyperparameters import Hyperparameters
from model.data.batch import Batch, shuffled_rows
from model.world.drawing import Pixels, draw
from model.world.scene import FACTS, Scene, Split, sample_scene, scene_at, scene_rng
from model.world.wording import FACT_NAMES, Caption, caption, caption_about, contradiction, facts_named_in

WORLD_VERSION = 1
"""Raised when the same seed would no longer give the same images or sentences."""

VALIDATION_IMAGES = 512
GOLDEN_QUESTIONS = 8
GOLDEN_SEED = 3_000_017
VOCABULARY_SCENES = 8000
NOT_SAID = -1
NOT_A_FACT = -2


class WorldExamples:
    """`images` scenes of the train split, walked through in a new order and with new sentences in every epoch; a
    `pair_share` of them are of the split `pairs`. Of each one of the facts `told` is said besides.
    """

    def __init__(
        self,
        images: int,
        captions_per_image: int,
        seed: int,
        pair_share: float = 0.0,
        told: Collection[str] = (),
    ) -> None:
        self.images = images
        self.captions_per_image = captions_per_image
        self.seed = seed
        self.pairs = round(pair_share * images)
        self.told = told

    def __len__(self) -> int:
        return self.images

    def batch(self, step: int, size: int) -> Batch:
        """The `size` images of a step with their texts."""
        rows = shuffled_rows(self.seed, self.images, step * size, size)
        return self._describe(rows, np.random.default_rng((self.seed, step)))

    def validation(self) -> Batch:
        """Rows below zero stand for the validation split: row -1 is its image 0."""
        rows = tuple(range(-1, -1 - VALIDATION_IMAGES, -1))
        return self._describe(rows, np.random.default_rng(self.seed))

    def image(self, row: int) -> Image.Image:
        """The RGB image of a row."""
        return Image.fromarray(render(self.seed, *self._place(row)))

    def digest(self) -> str:
        """sha256 of what the images and sentences are a function of."""
        recipe = f"world {WORLD_VERSION} {self.seed} {self.images} {self.captions_per_image}"
        recipe += f" {self.pairs} pairs" if self.pairs else ""
        recipe += f" told {' '.join(sorted(self.told))}" if self.told else ""
        return hashlib.sha256(recipe.encode()).hexdigest()

    def sentences(self) -> list[str]:
        """Two sentences of each of the first scenes: enough for every word to occur often."""
        rng = np.random.default_rng(self.seed)
        scenes = [scene_at(self.seed, *self._place(row)) for row in range(self.pairs, self.pairs + VOCABULARY_SCENES)]
        scenes += [scene_at(self.seed, "pairs", index) for index in range(VOCABULARY_SCENES if self.pairs else 0)]
        return [caption(scene, rng).text for scene in scenes for _ in range(2)]

    def _place(self, row: int) -> tuple[Split, int]:
        """The split of a row and its number there: below zero validation, then pairs, then what else is trained on."""
        if row < 0:
            return "validation", ~row
        return ("pairs", row) if row < self.pairs else ("train", row - self.pairs)

    def _describe(self, rows: tuple[int, ...], rng: np.random.Generator) -> Batch:
        scenes = [scene_at(self.seed, *self._place(row)) for row in rows]
        captions: dict[str, Caption] = {}
        for scene in scenes:
            true = [caption(scene, rng) for _ in range(self.captions_per_image)]
            # for each that says where an object of a pair is, another one that says it wrongly
            wrong = [contradiction(said, rng) for said in true] if scene.companion else []
            besides = caption_about(scene, self.told, rng) if self.told else None
            captions |= {said.text: said for said in (*true, *wrong, besides) if said}
        return Batch(rows, tuple(captions), truth(scenes, list(captions.values())))


def world_of(chosen: Hyperparameters, pair_share: float, new: Iterable[str] = ()) -> WorldExamples:
    """The world as a run's hyperparameters ask for it, where `new` sentences are learnt beside it: what it means by the
    words that both have is what is forgotten first, so one such fact is said of every image that has one.
    """
    told = facts_named_in(new)
    return WorldExamples(chosen.world_images, chosen.captions_per_image, chosen.seed, pair_share, told)


def truth(scenes: list[Scene], captions: list[Caption]) -> Tensor:
    """Which caption is true of which scene: bool [scenes, captions]."""
    views = [(number, view) for number, scene in enumerate(scenes) for view in scene.views]
    had = np.array([[_code(name, view.get(name), NOT_A_FACT) for name in FACT_NAMES] for _, view in views])
    said = np.array([[_code(name, dict(said.facts).get(name), NOT_SAID) for name in FACT_NAMES] for said in captions])
    agree = ((said[None] == NOT_SAID) | (said[None] == had[:, None])).all(axis=2)  # [views, captions]
    true = np.zeros((len(scenes), len(captions)), dtype=bool)
    np.logical_or.at(true, [number for number, _ in views], agree)
    return torch.from_numpy(true)


@lru_cache(maxsize=50_000)
def render(seed: int, split: Split, index: int) -> Pixels:
    """The pixels of one image, kept in memory: 12 kB each. shape = [64, 64, 3]"""
    rng = scene_rng(seed, split, index)
    return draw(sample_scene(rng, split), rng)


def _code(name: str, value: str | None, absent: int) -> int:
    return absent if value is None else FACTS[name].index(value)


def golden_scenes() -> list[Pixels]:
    """What a checkpoint's golden questions are about."""
    return [render(GOLDEN_SEED, "test", index) for index in range(GOLDEN_QUESTIONS)]
