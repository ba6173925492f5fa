"""How long a run is: its steps, and how many images each has. Training goes by it, and the API foretells it."""

from math import ceil

from contract.hyperparameters import Hyperparameters

MIN_STEPS = 300
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
    return min(asked.batch_size, max(2, images // processes)) * processes


def steps(asked: Hyperparameters, images: int, per_step: int) -> int:
    """Of a run whose epochs have `images`, of which a step has `per_step`."""
    return asked.steps or max(MIN_STEPS, asked.epochs * ceil(images / per_step))
