"""The world's classification tasks: label sets, and sentences that no caption ever uses.

Every task is asked zero-shot, in two wordings kept out of training: Hugging Face's default template and another one.
Each label occurs equally often in its task's images.
"""

from collections.abc import Callable
from dataclasses import dataclass

from model.data.class_wording import HELD_OUT_WORDINGS, with_article
from model.world.scene import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    OPPOSITES,
    POSITIONS,
    RELATION_TEST_SHAPES,
    SHAPES,
    SIZES,
    TEXTURE_MIN_SIDE,
    TEXTURES,
    THINGS,
    Scene,
    Split,
    scene_at,
)

VALIDATION_SPLITS: dict[Split, Split] = {"test": "validation", "relation": "relation_validation"}
"""Images like those that a task is reported on, to fit and to choose by. What is never seen has none."""


@dataclass(frozen=True)
class Task:
    """One question. `answer` gives a scene's label, or what is none of the labels where the question makes no sense."""

    name: str
    labels: tuple[str, ...]
    phrases: tuple[str, ...]
    answer: Callable[[Scene], str | None]
    split: Split = "test"

    @property
    def prompts(self) -> list[list[str]]:
        """The sentences of each label."""
        return [[template.format(phrase) for template in HELD_OUT_WORDINGS] for phrase in self.phrases]

    @property
    def validation_split(self) -> Split | None:
        """Where its validation images are, if it has any."""
        return VALIDATION_SPLITS.get(self.split)


@dataclass(frozen=True)
class Question:
    """An image of a task, by its place in the split, and the number of the right label."""

    index: int
    target: int


def ask(task: Task, split: Split, seed: int, scenes: int) -> list[Question]:
    """Questions about the first `scenes` images of a split: equally many of every label that occurs there."""
    found: dict[str, list[Question]] = {}
    for index in range(scenes):
        answer = task.answer(scene_at(seed, split, index))
        if answer in task.labels:
            found.setdefault(answer, []).append(Question(index, task.labels.index(answer)))
    fewest = min(map(len, found.values()), default=0)
    return [question for questions in found.values() for question in questions[:fewest]]


def _texture(scene: Scene) -> str | None:
    """Of objects that are large enough to show one."""
    return scene.texture if scene.shape in SHAPES and scene.placements[0].side >= TEXTURE_MIN_SIDE else None


def _position(scene: Scene) -> str | None:
    """Of objects that could be elsewhere: a large one is always in the centre."""
    return None if scene.size == "large" else scene.position


def _pair(scene: Scene) -> str:
    return f"{scene.colour} {scene.shape}"


def _relation(scene: Scene) -> str | None:
    """One of the two ways to say it that is among the labels."""
    if scene.companion is None:
        return None
    relation, other = scene.companion.relation, scene.companion.shape
    said = (_related(scene.shape, relation, other), _related(other, OPPOSITES[relation], scene.shape))
    return next((label for label in said if label in RELATED), None)


def _related(one: str, relation: str, other: str) -> str:
    return f"{with_article(one)} {relation} {with_article(other)}"


def _ground(name: str) -> str:
    return f"something on {name}" if name in ("grass", "sand") else f"something on a {name} background"


PAIRS = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
PAIR_PHRASES = tuple(map(with_article, PAIRS))

RELATED = tuple(
    _related(one, relation, other)
    for one, other in (RELATION_TEST_SHAPES, RELATION_TEST_SHAPES[::-1])
    for relation in ("left of", "above")
)
"""The other two relations are these, said from the other object. Of a bag of words one can't do better than .25, or .5
if it tells the axis.
"""

TASKS = (
    Task("shape", SHAPES, tuple(map(with_article, SHAPES)), lambda scene: scene.shape),
    Task("thing", THINGS, tuple(map(with_article, THINGS)), lambda scene: scene.shape),
    Task("colour", COLOURS, tuple(f"something {name}" for name in COLOURS), lambda scene: scene.colour),
    Task("count", COUNTS, ("one object", *(f"{count} objects" for count in COUNTS[1:])), lambda scene: scene.count),
    Task("texture", TEXTURES, tuple(f"something {name}" for name in TEXTURES), _texture),
    Task("size", SIZES, tuple(f"something {name}" for name in SIZES), lambda scene: scene.size),
    Task("background", BACKGROUNDS, tuple(map(_ground, BACKGROUNDS)), lambda scene: scene.background),
    Task("position", POSITIONS, tuple(f"something in the {name}" for name in POSITIONS), _position),
    Task("colour_and_shape", PAIRS, PAIR_PHRASES, _pair),
    Task("colour_and_shape_unseen", PAIRS, PAIR_PHRASES, _pair, split="unseen"),
    Task("relation", RELATED, RELATED, _relation, split="relation"),
)
