"""The calibration that an exported checkpoint carries, fitted on images that no result is reported on."""

from model.calibration import fit_calibration
from model.checkpoint import Calibration
from model.evaluation.world import World
from model.training.interpolate import Interpolation, learnt
from model.training.loop import Loop
from model.training.new_domain import NewDomain


def fitted_calibration(loop: Loop, world: World, found: Interpolation | None, domain: NewDomain | None) -> Calibration:
    """One temperature and one curve for everything the model is asked, fitted on the old tasks and the new domain
    together. The new domain is asked for its labels as users will, or for its captions where it has only these.

    A task that the model can't do is left out: it would take all confidence away from the others. Each of the rest
    weighs the same in the temperature; in the curve the new domain weighs as much as all old tasks together, which left
    fewer wrong labels above 0.5 on both sides. Where nothing new is published it is the base's calibration, so that its
    answers stay what they were.
    """
    if found and found.choice.picked.alpha == 0 and found.base_calibration.temperature is not None:
        return found.base_calibration
    answers = world.validation_answers()
    known = found.known if found else learnt(answers) or answers if loop.chosen.data == "world" else ()
    old = [(said.cosines, said.truth) for name, said in answers.items() if name in known]
    new = domain.pairs(world.clip) if domain else [loop.validation_cosines()] if loop.chosen.data == "channel" else []
    weights = [1 / len(group) for group in (old, new) for _ in group]
    return fit_calibration([*old, *new], world.clip.logit_scale, weights)
