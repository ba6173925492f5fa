"""Which images a training keeps back for validation, where nobody has said so: a stratified draw that stays the same.

Every image draws a number by a hash of its name, and those below the share are kept back: an image keeps its side when
others are added. What chance does to classes with few images is put right (stratified sampling): of every class between
half and twice the share are kept back, as far as that is whole images, and one at least is left to train on.
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil


def kept_back(draws: Mapping[str, float], classes: Iterable[Collection[str]], share: float) -> set[str]:
    """The names that are kept back, at least one if another is left. `draws`: each name's number from 0 to 1;
    `classes`: the names of each class, which may overlap where there are several tasks.
    """
    kept = {name for name, draw in draws.items() if draw < share}
    ordered = [sorted(names, key=lambda name: (draws[name], name)) for names in classes]
    for names in ordered:
        least, _ = _bounds(len(names), share)
        missing = least - len(kept.intersection(names))
        kept.update([name for name in names if name not in kept][: max(0, missing)])
    for names in ordered:
        _, most = _bounds(len(names), share)
        of_class = [name for name in names if name in kept]
        kept.difference_update(of_class[most:])
    if not kept and len(draws) > 1:
        alone = {name for names in ordered if len(names) == 1 for name in names}
        kept.add(min(draws.keys() - alone or draws.keys(), key=lambda name: (draws[name], name)))
    return kept


def _bounds(images: int, share: float) -> tuple[int, int]:
    """How many images of a class are kept back at least and at most."""
    most = min(images - 1, max(1, ceil(2 * share * images)))
    least = max(round(share * images / 2), int(share * images >= 0.5))
    return min(least, most), most
