"""The calibration that an exported checkpoint carries, fitted on images that no result is reported on."""

from model.calibration import Pairs, fit_calibration
from model.checkpoint import Calibration
from model.evaluation.world import World
from model.training.interpolate import Interpolation
from model.training.loop import Loop


def fitted_calibration(loop: Loop, world: World, found: Interpolation | None) -> Calibration:
    """One temperature and one curve for everything the model is asked: the new domain weighs as much as all old tasks
    together. Where nothing new is published it is the base's own, so that its answers stay what they were.
    """
    if found and found.choice.picked.alpha == 0 and found.base_calibration.temperature is not None:
        return found.base_calibration
    known = found.known if found else None
    old = [
        (said.cosines, said.truth)
        for name, said in world.validation_answers().items()
        if loop.chosen.data == "world" or (known and name in known)
    ]
    new: list[Pairs] = [] if loop.chosen.data == "world" else [loop.validation_cosines()]
    weights = [1 / len(group) for group in (old, new) for _ in group]
    return fit_calibration([*old, *new], world.clip.logit_scale, weights)
