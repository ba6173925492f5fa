"""The calibration that an exported checkpoint carries, fitted on images that no result is reported on."""

from collections.abc import Sequence

from model.clip.calibration import fit_calibration
from model.clip.checkpoint import Calibration
from model.evaluation.answers import Answers
from model.evaluation.world import World
from model.training.interpolate import Interpolation, learnt
from model.training.loop import Loop
from model.training.new_domain import NewDomain

MASTERED = 0.5


def fitted_calibration(loop: Loop, world: World, found: Interpolation | None, domain: NewDomain | None) -> Calibration:
    """One temperature and one curve for everything the model is asked, fitted on the old tasks and the new domain
    together. The new domain is asked for its labels as users will, or for its captions where it has only these.

    A task that the model can't do is left out: it would take all confidence away from the others. Each of the rest
    weighs the same in the temperature; in the curve the new domain weighs as much as all old tasks together, which left
    fewer wrong labels above 0.5 on both sides. An old task of which the model knows a part, but answers most questions
    wrongly, is in the temperature alone: in the curve it would take confidence from the others, since its right and
    wrong labels have one cosine. Where nothing new is published it is the base's calibration, so that its answers stay
    what they were.
    """
    if found and found.choice.picked.alpha == 0 and found.base_calibration.temperature is not None:
        return found.base_calibration
    answers = world.validation_answers()
    known = found.known if found else learnt(answers) or answers if loop.chosen.data == "world" else ()
    old = [said for name, said in answers.items() if name in known]
    new = domain.pairs(world.clip) if domain else [loop.validation_cosines()] if loop.chosen.data == "channel" else []
    pairs = [*((said.cosines, said.truth) for said in old), *new]
    return fit_calibration(pairs, world.clip.logit_scale, [*curve_weights(old), *(1 / len(new) for _ in new)])


def curve_weights(old: Sequence[Answers]) -> list[float]:
    """What each old task weighs in the curve, 1 together: nothing where most answers are wrong, if not all are so."""
    mastered = [float(said.right.float().mean() > MASTERED) for said in old]
    weights = mastered if any(mastered) else [1.0] * len(old)
    return [weight / sum(weights) for weight in weights]
