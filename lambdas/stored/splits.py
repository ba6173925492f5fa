"""Which images are trained on and which are kept back, so that what looks the same is on one side only."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from contract.annotations import STRICTEST, Annotation, Split
from contract.perceptual_hash import near_duplicate_groups


def assign_splits(annotations: Sequence[Annotation], validation_share: float) -> dict[str, Split]:
    """The split of every image, by its sha256: images that look the same are a group, and a group has one split.

    It is the one that was given to any of its images. If no image was given to validation, groups without a split are
    drawn by a hash, so that an image keeps its side when others are added; else they are trained on.
    """
    given: dict[str, set[Split]] = defaultdict(set)
    for each in annotations:
        if each.split:
            given[each.image].add(each.split)
    hashes = {each.image: each.perceptual_hash for each in sorted(annotations, key=lambda each: each.image)}
    images = list(hashes)
    groups = [[images[place] for place in group] for group in near_duplicate_groups(list(hashes.values()))]
    splits = {group[0]: _strictest(given[image] for image in group) for group in groups}
    if "validation" not in splits.values():
        open_groups = [first for first, split in splits.items() if split is None]
        splits.update(dict.fromkeys(_drawn(open_groups, validation_share), "validation"))
    return {image: splits[group[0]] or "train" for group in groups for image in group}


def _strictest(given: Iterable[set[Split]]) -> Split | None:
    named = set().union(*given)
    return next((split for split in STRICTEST if split in named), None)


def _drawn(images: Sequence[str], share: float) -> list[str]:
    """Which of the images are kept back; one at least, if another is left to train on."""
    drawn = [image for image in images if _draw(image) < share]
    return drawn or ([min(images, key=_draw)] if len(images) > 1 else [])


def _draw(image: str) -> float:
    digest = hashlib.sha256(f"validation {image}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
