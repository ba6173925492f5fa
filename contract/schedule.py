"""How long a run is: its steps, and how many images each has. Training goes by it, and the API foretells it."""

from math import ceil

from contract.hyperparameters import Hyperparameters

MIN_STEPS = 600
"""By 300 steps, hand signs of a thousand photographs were right in .908 and not .940, and the old had lost more."""
PROJECTION_STEPS = 300
"""Of the visual projection alone."""
PROJECTION_BATCHES = 8
"""So many times as many images a step of it has, of which the towers have read each before."""
PROJECTION_VIEWS = 6
"""The whole image and crops of it, that the image tower reads for it once."""
KEPT_IMAGES = 1000
"""Of the rendered world, on which the projection is to say what it said."""
CHOSEN_BY_IMAGES = 1000
"""At most, by which auto chooses."""
READING_SHARE = 1 / 3
"""What it costs to read an image without learning from it."""
REPLAY_SHARE = 0.5
REFERENCE_SHARE = 0.5
REFERENCE_SHARE_BESIDE_REPLAY = 0.25
"""So that enough is left of a batch for what is new."""


def replay_share(asked: Hyperparameters, learnt_from_world: bool) -> float:
    """What part of a batch shows the rendered world again, to a base that learnt from it or did not."""
    if asked.init == "scratch" or asked.data == "world":
        return 0.0
    if asked.replay_share is None:
        return REPLAY_SHARE if learnt_from_world else 0.0
    return asked.replay_share


def reference_share(asked: Hyperparameters, has_reference: bool, replay_share: float) -> float:
    """What part of a batch shows images of a reference set, if there is one; the rest is shared as it is without."""
    if not has_reference or asked.init == "scratch" or asked.data == "world":
        return 0.0
    if asked.reference_share is None:
        return REFERENCE_SHARE_BESIDE_REPLAY if replay_share > 0 else REFERENCE_SHARE
    return asked.reference_share


def images_per_epoch(new: int, share: float) -> int:
    """So many that every new image comes once, when old ones are `share` of each batch."""
    return ceil(new / (1 - share))


def images_per_step(asked: Hyperparameters, images: int, processes: int) -> int:
    """Over all processes that share an epoch of `images`."""
    if asked.strategy == "projection":  # which one process learns
        return min(asked.batch_size * PROJECTION_BATCHES, max(2, images))
    return min(asked.batch_size, max(2, images // processes)) * processes


def steps(asked: Hyperparameters, images: int, per_step: int) -> int:
    """Of a run whose epochs have `images`, of which a step has `per_step`."""
    if asked.strategy == "projection":
        return asked.steps or PROJECTION_STEPS
    return asked.steps or max(MIN_STEPS, asked.epochs * ceil(images / per_step))


def cached_steps(images: int, per_step: int, steps: int) -> int:
    """How many steps of the visual projection have images that the tower has to read; the others have these again."""
    return min(steps, max(1, PROJECTION_VIEWS * images // per_step))


def images_learnt(asked: Hyperparameters, images: int, per_step: int, steps: int) -> float:
    """What a run costs, as a number of images that all weights learn from. `images`: of an epoch. Before it is known
    what auto will choose, it may be all of that, behind what choosing takes.
    """
    if asked.strategy == "projection":
        return READING_SHARE * (cached_steps(images, per_step, steps) * per_step + KEPT_IMAGES)
    choosing = READING_SHARE * (min(images, CHOSEN_BY_IMAGES) + KEPT_IMAGES) if asked.strategy == "auto" else 0.0
    return steps * per_step + choosing
