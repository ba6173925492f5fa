"""A rendered world in which every fact is known, so that its images can be described in words without people.

An image is a pure function of (seed, split, index): the same arguments give the same facts, pixels and captions in any
process. Ten of the hundred shape-colour combinations never occur outside the `unseen` split; each shape and each colour
loses one, so that a model which answers on them has put two known words together. The split `pairs` holds pairs of
different objects only, `relation` and `relation_validation` those of two shapes, so that one label set fits all images.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test", "unseen", "relation", "pairs", "relation_validation"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "unseen", "relation", "pairs", "relation_validation")
PAIR_SPLITS = frozenset({"pairs", "relation", "relation_validation"})

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart", "diamond", "arrow", "moon")
THINGS = ("sun", "tree", "house", "fish", "car", "cup", "face", "flower")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEXTURES = ("plain", "striped", "dotted", "checkered")
SIZES = ("small", "medium", "large")
COUNTS = ("one", "two", "three", "four", "five")
POSITIONS = ("centre", "left", "right", "top", "bottom")
BACKGROUNDS = ("white", "black", "grey", "sky", "grass", "sand")
RELATIONS = ("left of", "right of", "above", "below")

FACTS: dict[str, tuple[str, ...]] = {
    "shape": SHAPES + THINGS,
    "colour": COLOURS,
    "texture": TEXTURES,
    "size": SIZES,
    "count": COUNTS,
    "position": POSITIONS,
    "background": BACKGROUNDS,
    "relation": RELATIONS,
    "other_shape": SHAPES + THINGS,
    "other_colour": COLOURS,
}
"""What can be said of a scene. The last three are about an object and the other one beside it."""

OWN_FACTS = ("shape", "colour", "texture", "size", "count", "position", "background")
OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
SIDES = {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}
RELATION_TEST_SHAPES = ("circle", "square")

UNSEEN_PAIRS = frozenset((shape, COLOURS[(3 * i + 6) % 10]) for i, shape in enumerate(SHAPES))
INVISIBLE = frozenset({("white", "white"), ("black", "black"), ("green", "grass"), ("yellow", "sand")})
THING_COLOURS: dict[str, tuple[str, ...]] = {
    "sun": ("yellow", "orange"),
    "tree": ("green", "orange", "red"),
    "house": ("white", "yellow", "red", "blue", "brown", "pink"),
    "face": ("yellow", "pink", "brown", "orange"),
    "flower": ("red", "pink", "purple", "white", "blue", "orange"),
}

SIDE_BY_SIZE = {"small": (0.21, 0.28), "medium": (0.36, 0.46), "large": (0.58, 0.8)}
SIDE_BY_COUNT = {2: (0.32, 0.42), 3: (0.28, 0.36), 4: (0.25, 0.32), 5: (0.23, 0.29)}
TEXTURE_MIN_SIDE = 0.27
GROUP_SHARE = 0.36
THING_SHARE = 0.36
BACKGROUND_SHARES = (0.35, 0.13, 0.13, 0.13, 0.13, 0.13)


@dataclass(frozen=True)
class Placement:
    """Where one object lies: centre and side as fractions of the image's side, turn in radians."""

    x: float
    y: float
    side: float
    turn: float


@dataclass(frozen=True)
class Companion:
    """The second object of a pair, and how the first one lies to it."""

    shape: str
    colour: str
    placement: Placement
    relation: str


@dataclass(frozen=True)
class Scene:
    """One object, a group of like ones, or a pair of different ones. `size` and `position` are facts of single objects
    only; in a pair, `shape` and `colour` are the first one's.
    """

    shape: str
    colour: str
    texture: str
    size: str | None
    count: str
    position: str | None
    background: str
    placements: tuple[Placement, ...]
    companion: Companion | None = None

    @cached_property
    def views(self) -> tuple[dict[str, str], ...]:
        """What can be said, each dict of `FACTS` about one thing: a sentence is true if one view has all that it says.
        A pair can be looked at from either object, or as two objects.
        """
        if self.companion is None:
            facts = {name: getattr(self, name) for name in OWN_FACTS}
            return ({name: value for name, value in facts.items() if value is not None},)
        first, second = (self.shape, self.colour), (self.companion.shape, self.companion.colour)
        relation = self.companion.relation
        return (
            self._beside(first, relation, second),
            self._beside(second, OPPOSITES[relation], first),
            {"count": self.count, "background": self.background},
        )

    def _beside(self, one: tuple[str, str], relation: str, other: tuple[str, str]) -> dict[str, str]:
        return {
            **dict(zip(("shape", "colour"), one, strict=True)),
            "texture": self.texture,
            "position": SIDES[relation],
            "background": self.background,
            "relation": relation,
            **dict(zip(("other_shape", "other_colour"), other, strict=True)),
        }


def scene_rng(seed: int, split: Split, index: int) -> np.random.Generator:
    """The one source of chance for an image: first its scene, then its pixels are drawn from it."""
    return np.random.default_rng((seed, SPLITS.index(split), index))


@lru_cache(maxsize=50_000)
def scene_at(seed: int, split: Split, index: int) -> Scene:
    """The facts of one image."""
    return sample_scene(scene_rng(seed, split, index), split)


def sample_scene(rng: np.random.Generator, split: Split) -> Scene:
    """Draw the facts of an image that the split allows."""
    background = str(rng.choice(BACKGROUNDS, p=BACKGROUND_SHARES))
    if split in PAIR_SPLITS:
        return _sample_pair(rng, split, background)
    shape, colour = _sample_object(rng, split, background)
    grouped = rng.random() < GROUP_SHARE
    size, count, position, placements = _sample_group(rng) if grouped else _sample_single(rng)
    textured = shape in SHAPES and placements[0].side >= TEXTURE_MIN_SIDE and rng.random() < 0.6
    texture = str(rng.choice(TEXTURES[1:])) if textured else "plain"
    return Scene(shape, colour, texture, size, count, position, background, placements)


def _sample_object(
    rng: np.random.Generator, split: Split, background: str, shapes: tuple[str, ...] | None = None
) -> tuple[str, str]:
    while True:
        things = split != "unseen" and rng.random() < THING_SHARE
        shape = str(rng.choice(shapes or (THINGS if things else SHAPES)))
        colour = str(rng.choice(THING_COLOURS.get(shape, COLOURS)))
        allowed = ((shape, colour) in UNSEEN_PAIRS) == (split == "unseen")
        if allowed and (colour, background) not in INVISIBLE:
            return shape, colour


def _sample_pair(rng: np.random.Generator, split: Split, background: str) -> Scene:
    """Two plain objects of different shapes and colours, side by side or one above the other."""
    shapes = None if split == "pairs" else RELATION_TEST_SHAPES
    shape, colour = other_shape, other_colour = _sample_object(rng, split, background, shapes)
    while other_shape == shape or other_colour == colour:
        other_shape, other_colour = _sample_object(rng, split, background, shapes)
    relation = str(rng.choice(RELATIONS))
    here, there = _sample_places(rng, relation)
    companion = Companion(other_shape, other_colour, there, relation)
    return Scene(shape, colour, "plain", None, "two", None, background, (here,), companion)


def _sample_places(rng: np.random.Generator, relation: str) -> tuple[Placement, Placement]:
    """Centres .4 to .56 of the side apart along one axis and nearly level on the other."""
    apart = rng.uniform(0.4, 0.56)
    middle = 0.5 + rng.uniform(-0.04, 0.04)
    sides = rng.uniform(0.28, 0.4, 2).tolist()
    level = 0.5 + rng.uniform(-0.2, 0.2) + rng.uniform(-0.06, 0.06, 2)
    along = (middle - apart / 2, middle + apart / 2)
    if relation in ("right of", "below"):
        along = along[::-1]
    across = relation in ("left of", "right of")
    places = zip(along, level.tolist(), strict=True)
    (x, y), (other_x, other_y) = places if across else ((b, a) for a, b in places)
    return Placement(x, y, sides[0], _turn(rng)), Placement(other_x, other_y, sides[1], _turn(rng))


def _sample_single(rng: np.random.Generator) -> tuple[str, str, str, tuple[Placement, ...]]:
    size = str(rng.choice(SIZES, p=(0.22, 0.34, 0.44)))
    position = "centre" if size == "large" else str(rng.choice(POSITIONS, p=(0.28, 0.18, 0.18, 0.18, 0.18)))
    toward = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}.get(position, (0, 0))
    side = rng.uniform(*SIDE_BY_SIZE[size])
    reach = min(0.3, 0.49 - side / 2)
    jitter = min(0.06, 0.5 - side / 2) * rng.uniform(-1, 1, 2)
    x, y = (0.5 + step * reach + (0 if step else shift) for step, shift in zip(toward, jitter, strict=True))
    return size, "one", position, (Placement(x, y, side, _turn(rng)),)


def _sample_group(rng: np.random.Generator) -> tuple[None, str, None, tuple[Placement, ...]]:
    count = int(rng.integers(2, 6))
    side = rng.uniform(*SIDE_BY_COUNT[count])
    centres: list[tuple[float, float]] = []
    while len(centres) < count:
        centres = _scatter(rng, count, side)
        side *= 0.97
    return None, COUNTS[count - 1], None, tuple(Placement(x, y, side, _turn(rng)) for x, y in centres)


def _scatter(rng: np.random.Generator, count: int, side: float) -> list[tuple[float, float]]:
    """Centres no nearer to each other than 1.1 sides; fewer than `count` when 40 throws did not suffice."""
    centres: list[tuple[float, float]] = []
    for x, y in rng.uniform(side / 2 + 0.01, 0.99 - side / 2, (40, 2)).tolist():
        if len(centres) < count and all((x - a) ** 2 + (y - b) ** 2 > (1.1 * side) ** 2 for a, b in centres):
            centres.append((x, y))
    return centres


def _turn(rng: np.random.Generator) -> float:
    """Half of the objects stand upright, as people draw them; the rest lean by up to 14 degrees."""
    return float(rng.uniform(-0.25, 0.25)) if rng.random() < 0.5 else 0.0
