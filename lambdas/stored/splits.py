"""Which images are trained on and which are kept back, so that what looks the same is on one side only."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contract.annotations import STRICTEST, Annotation, Split
from contract.perceptual_hash import near_duplicate_groups
from contract.splits import kept_back
from contract.texts import same_to_the_model


@dataclass(frozen=True)
class Assigned:
    """The split of every image, by its sha256. `leaking`: images that were given to training although they look like
    one that was given to validation or a test; `contradicting`: images that were given several splits.
    """

    splits: dict[str, Split]
    leaking: int = 0
    contradicting: int = 0


def assign_splits(annotations: Sequence[Annotation], validation_share: float) -> Assigned:
    """Images that look the same are a group. An image has the split that was given to it, of several the strictest;
    without one it has the strictest that was given to any of its group.

    If no image was given to validation, groups without any split are drawn, of each label alike and by a hash, so that
    an image keeps its side when others are added; else they are trained on. The oldest image stands for its group.
    """
    given: dict[str, set[Split]] = defaultdict(set)
    classes: dict[str, set[tuple[str | None, str]]] = defaultdict(set)
    oldest: dict[str, Annotation] = {}
    for each in sorted(annotations, key=lambda each: (each.created, each.image)):
        oldest.setdefault(each.image, each)
        if each.split:
            given[each.image].add(each.split)
        if each.label is not None:
            classes[each.image].add((each.task, same_to_the_model(each.label)))
    images = list(oldest)
    hashes = [each.perceptual_hash for each in oldest.values()]
    groups = [[images[place] for place in group] for group in near_duplicate_groups(hashes)]
    of_group = {group[0]: _strictest(given[image] for image in group) for group in groups}
    splits: dict[str, Split | None] = {
        image: _strictest([given[image]]) or of_group[group[0]] for group in groups for image in group
    }
    leaking = sum(
        splits[image] == "train" and of_group[group[0]] in ("validation", "test") for group in groups for image in group
    )
    if "validation" not in splits.values():
        unsaid = [group for group in groups if of_group[group[0]] is None]
        of_class: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        for group in unsaid:
            for label in set().union(*(classes[image] for image in group)):
                of_class[label].append(group[0])
        kept = kept_back({group[0]: _draw(group[0]) for group in unsaid}, of_class.values(), validation_share)
        splits |= {image: "validation" for group in unsaid if group[0] in kept for image in group}
    return Assigned(
        {image: split or "train" for image, split in sorted(splits.items())},
        leaking,
        contradicting=sum(len(found) > 1 for found in given.values()),
    )


def _strictest(given: Iterable[set[Split]]) -> Split | None:
    named = set().union(*given)
    return next((split for split in STRICTEST if split in named), None)


def _draw(image: str) -> float:
    digest = hashlib.sha256(f"validation {image}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
