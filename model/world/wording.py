"""Facts to sentences: how a scene is said in training, and the sentences kept back for evaluation.

A caption mentions a random subset of the facts, so that one image is "a red circle", "three things on the grass" and
"it is striped" to different readers, and no fact is tied to one phrase.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.data.class_wording import with_article
from model.world.scene import COUNTS, FACTS, OPPOSITES, SIDES, Scene

FACT_NAMES = tuple(FACTS)
ACROSS = {SIDES[relation]: SIDES[opposite] for relation, opposite in OPPOSITES.items()}
VIEW_SHARES = (0.45, 0.45, 0.1)
"""How often a pair is described from each of its views."""
RELATION_SHARE = 0.5
SIDE_SHARE = 0.4
"""Of what is said about one object of a pair says where the other one is, or on which side it is itself. The second is
what the first is learnt from: it binds an object to its place without asking for the order of words.
"""
MENTION_WEIGHTS = {
    "shape": 4.0, "colour": 1.5, "texture": 1.5, "size": 1.0, "count": 1.5, "position": 1.0, "background": 1.0,
}  # fmt: skip
MENTION_COUNTS = (1, 2, 3, 4)
MENTION_SHARES = (0.35, 0.35, 0.2, 0.1)

OPENERS_ONE = ("", "", "", "a photo of ", "a picture of ", "an image of ", "a drawing of ", "this is ", "there is ")
OPENERS_MANY = ("", "", "", "a photo of ", "a picture of ", "an image of ", "a drawing of ", "these are ", "there are ")
NAMELESS = ("object", "thing", "figure")

SIZE_WORDS = {"small": ("small", "little", "tiny"), "medium": ("medium", "medium sized"), "large": ("large", "big")}
POSITION_PHRASES = {
    "centre": ("in the centre", "in the middle"),
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "on top"),
    "bottom": ("at the bottom", "near the bottom"),
}
TEXTURE_PHRASES = {
    "plain": ("in one plain colour", "without a pattern"),
    "striped": ("with stripes", "with a striped pattern"),
    "dotted": ("with dots", "with a dotted pattern"),
    "checkered": ("with checks", "with a checkered pattern"),
}
GROUND_PHRASES = {
    "sky": ("in the sky", "in front of the sky", "on a sky background"),
    "grass": ("on grass", "on the grass", "on a grass background"),
    "sand": ("on sand", "on the sand", "on a sand background"),
}
LONE_PHRASES = {
    "shape": ("{}", "{article}", "it is {article}", "one can see {article}", "the shape of {article}"),
    "colour": ("{}", "it is {}", "something {}", "the colour is {}", "{} in colour", "the colour {}"),
    "texture": ("{}", "it is {}", "something {}", "a {} pattern", "the pattern is {}"),
    "size": ("{}", "it is {}", "something {}", "the size is {}", "a {} one"),
    "count": ("{}", "{} in number", "the count is {}", "{} of them"),
    "position": ("{}", "it is on the {}", "the {}", "placed at the {}"),
    "background": ("{} background", "a {} background", "the background is {}"),
}
RELATION_PHRASES = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath"),
}
COMPANION_PHRASES = {
    "left of": ("to its right", "on the right side"),
    "right of": ("to its left", "on the left side"),
    "above": ("below it", "under it"),
    "below": ("above it", "over it"),
}
"""Where the other object is when the first one is left of it, and so on."""


@dataclass(frozen=True)
class Caption:
    """A sentence and the facts it states; it is true of every scene that has them all."""

    text: str
    facts: tuple[tuple[str, str], ...]

    def is_true_of(self, scene: Scene) -> bool:
        """Whether the scene has every stated fact, seen from one and the same of its objects."""
        return any(all(view.get(name) == value for name, value in self.facts) for view in scene.views)


def caption(scene: Scene, rng: np.random.Generator) -> Caption:
    """Say one to four facts of the scene, or how its two objects lie, in one of the training wordings."""
    view = scene.views[int(rng.choice(len(VIEW_SHARES), p=VIEW_SHARES))] if scene.companion else scene.views[0]
    if "relation" in view and (chance := rng.random()) < RELATION_SHARE + SIDE_SHARE:
        return _said_of_both(view, rng) if chance < RELATION_SHARE else _said_of_one(view, rng)
    names = [name for name in MENTION_WEIGHTS if name in view]
    weights = np.array([MENTION_WEIGHTS[name] for name in names])
    how_many = min(len(names), int(rng.choice(MENTION_COUNTS, p=MENTION_SHARES)))
    chosen = set(rng.choice(names, how_many, replace=False, p=weights / weights.sum()).tolist())
    facts = {name: view[name] for name in FACT_NAMES if name in chosen}
    alone = len(facts) == 1 and rng.random() < 0.6
    many = view.get("count", COUNTS[0]) != COUNTS[0]
    if not alone:
        return Caption(_phrase(facts, many, rng), tuple(facts.items()))
    [(name, value)] = facts.items()
    return _said_alone(name, value, rng)


def caption_about(scene: Scene, names: Collection[str], rng: np.random.Generator) -> Caption | None:
    """Say one of these facts of the scene, and nothing else; None: there is none of them to say."""
    view = scene.views[0]
    sayable = [name for name in LONE_PHRASES if name in names and name in view]
    if not sayable:
        return None
    name = _pick(sayable, rng)
    return _said_alone(name, view[name], rng)


def facts_named_in(texts: Iterable[str]) -> frozenset[str]:
    """The facts of which the texts have two words or more, whatever is meant by them: one may stand in any sentence."""
    words = {word for text in texts for word in re.findall(r"[a-z]+", text.lower())}
    return frozenset(name for name in LONE_PHRASES if len(words.intersection(FACTS[name])) > 1)


def contradiction(said: Caption, rng: np.random.Generator) -> Caption | None:
    """The same about the same objects, lying the other way round; None where nothing was said of where they are.

    Without such sentences beside the true ones, a model does as well by treating a sentence as a bag of words
    (Yuksekgonul et al. 2023: When and why vision-language models behave like bags-of-words).
    """
    facts = dict(said.facts)
    if "relation" in facts:
        facts["relation"] = OPPOSITES[facts["relation"]]
        return Caption(_relate(facts, rng), tuple(facts.items()))
    is_of_one = facts.get("count", COUNTS[0]) == COUNTS[0] and ("shape" in facts or "colour" in facts)
    if is_of_one and facts.get("position") in ACROSS:
        facts["position"] = ACROSS[facts["position"]]
        return Caption(_phrase(facts, False, rng), tuple(facts.items()))
    return None


def _said_alone(name: str, value: str, rng: np.random.Generator) -> Caption:
    word = _pick(SIZE_WORDS[value], rng) if name == "size" else value
    return Caption(_pick(LONE_PHRASES[name], rng).format(word, article=with_article(word)), ((name, value),))


def _said_of_one(view: dict[str, str], rng: np.random.Generator) -> Caption:
    """One object of a pair by shape, colour or both, and its side."""
    named = (("shape",), ("shape", "colour"), ("colour",))[int(rng.integers(3))]
    facts = {name: view[name] for name in FACT_NAMES if name in (*named, "position")}
    return Caption(_phrase(facts, False, rng), tuple(facts.items()))


def _said_of_both(view: dict[str, str], rng: np.random.Generator) -> Caption:
    """Each object by shape, colour or both; at least one of the two by its shape."""
    named = [("shape",), ("shape",), ("shape", "colour"), ("colour",)]
    here, there = named[int(rng.integers(4))], named[int(rng.integers(4))]
    here = ("shape",) if here == there == ("colour",) else here
    chosen = {*here, "relation", *(f"other_{name}" for name in there)}
    chosen |= {"background"} if rng.random() < 0.15 else set()
    facts = {name: view[name] for name in FACT_NAMES if name in chosen}
    return Caption(_relate(facts, rng), tuple(facts.items()))


def _relate(facts: dict[str, str], rng: np.random.Generator) -> str:
    """[opener] object relation object [background], or: object with object on its … side"""
    one = _object(facts.get("shape"), facts.get("colour"), rng)
    other = _object(facts.get("other_shape"), facts.get("other_colour"), rng)
    if rng.random() < 0.25:
        text = f"{one} with {other} {_pick(COMPANION_PHRASES[facts['relation']], rng)}"
    else:
        text = f"{one} {_pick(RELATION_PHRASES[facts['relation']], rng)} {other}"
    tail = [_ground(facts["background"], rng)] if "background" in facts else []
    return " ".join([_pick(OPENERS_ONE, rng) + text, *tail])


def _object(shape: str | None, colour: str | None, rng: np.random.Generator) -> str:
    if shape is None and rng.random() < 0.5:
        return f"something {colour}"
    words = " ".join(word for word in (colour, shape or _pick(NAMELESS, rng)) if word)
    return with_article(words) if rng.random() < 0.85 else words


def plural(noun: str) -> str:
    """The plural of the world's nouns."""
    return {"fish": "fish", "cross": "crosses"}.get(noun, noun + "s")


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _phrase(facts: dict[str, str], many: bool, rng: np.random.Generator) -> str:
    """[opener] [article or number] [size] [texture] [colour] noun [texture] [position] [background]"""
    noun = facts.get("shape") or _pick(NAMELESS, rng)
    texture_first = rng.random() < 0.5
    words = [_pick(SIZE_WORDS[facts["size"]], rng)] if "size" in facts else []
    words += [facts["texture"]] if "texture" in facts and texture_first else []
    words += [facts["colour"]] if "colour" in facts else []
    words += [plural(noun) if many else noun]
    head = " ".join(words)
    if "count" in facts:
        head = f"{facts['count']} {head}"
    elif not many and rng.random() < 0.8:
        head = with_article(head)
    tails = [_pick(TEXTURE_PHRASES[facts["texture"]], rng)] if "texture" in facts and not texture_first else []
    tails += [_pick(POSITION_PHRASES[facts["position"]], rng)] if "position" in facts else []
    tails += [_ground(facts["background"], rng)] if "background" in facts else []
    return " ".join([_pick(OPENERS_MANY if many else OPENERS_ONE, rng) + head, *tails])


def _ground(name: str, rng: np.random.Generator) -> str:
    plain = (f"on a {name} background", f"in front of a {name} background", f"on {name}")
    return _pick(GROUND_PHRASES.get(name, plain), rng)
