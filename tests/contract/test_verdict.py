"""What became of a training, in a sentence."""

import pytest

from contract.metrics import Metrics, Reference
from contract.models import Gate
from contract.verdict import forgotten, mean_over, outcome, percent, verdict_sentence

LEARNT = {
    **{"before": {"validation_accuracy": 0.33}, "after": {"validation_accuracy": 0.94}},
    "gain": {"images": 1200, "won": 750, "lost": 20},
}


def metrics(**old: tuple[float, float]) -> Metrics:
    """With accuracies at old tasks before and after."""
    worlds = [{name: {"accuracy": pair[side]} for name, pair in old.items()} for side in (0, 1)]
    return Metrics.of({**LEARNT, "world_before": worlds[0], "world": worlds[1]})


def test_what_passed_says_what_it_learnt_and_what_that_cost() -> None:
    said = verdict_sentence(Gate(passed=True), metrics(shape=(0.9, 0.89), count=(0.8, 0.77)))
    assert said == (
        "It may go live: it gets 94 % of 1,200 validation images right, and its base 33 % (750 won, 20 lost); 2 old "
        "tasks lost 2.0 points of accuracy in the mean, at most 3.0 (count)."
    )
    assert outcome(metrics(shape=(0.5, 0.6))).endswith("1 old task gained 10.0 points of accuracy")


def test_what_was_refused_says_why_first_and_what_was_measured_where_it_was() -> None:
    gate = Gate(passed=False, reasons=["it is not better", "it forgot"])
    assert verdict_sentence(gate, Metrics()) == "It may not go live: it is not better; it forgot."
    assert verdict_sentence(gate, Metrics.of(LEARNT)).startswith(
        "It may not go live: it is not better; it forgot. It gets 94 % of 1,200"
    )


def test_a_task_that_the_base_could_not_do_is_not_forgotten() -> None:
    found = metrics(shape=(0.9, 0.8), count=(0.3, 0.1))
    found.interpolation = Metrics.of({"interpolation": {"frontier": [{"drop": {"shape": 0.0}}]}}).interpolation
    assert forgotten(found) == pytest.approx({"shape": 0.1})


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.333, "33 %"), (0.996, "99.6 %"), (0.9999, "99.9 %"), (0.00001, "0.1 %"), (1, "100 %"), (0, "0 %")],
)
def test_a_share_is_rounded_but_never_to_all_or_nothing(share: float, said: str) -> None:
    assert percent(share) == said


def test_what_is_said_to_a_reference_set_counts_as_an_old_task() -> None:
    found = metrics(shape=(0.9, 0.89))
    found.reference = Reference(images=300, agreement=0.97)
    assert forgotten(found) == pytest.approx({"shape": 0.01, "reference images": 0.03})
    assert outcome(found).endswith(
        "2 old tasks lost 2.0 points of accuracy in the mean, at most 3.0 (reference images); 97 % of its answers to "
        "300 reference images are its base's"
    )
    found.reference = Reference(images=0, unreadable=4)
    assert forgotten(found) == pytest.approx({"shape": 0.01}) and "reference" not in outcome(found)


def labelled(**changes: object) -> Metrics:
    """With two sets that were labelled before, of which one is too small for the limits to hold."""
    before = {"defect of welds": {"accuracy": 0.9, "images": 200}, "labels of pets": {"accuracy": 1.0, "images": 8}}
    after = {"defect of welds": {"accuracy": 0.84, "images": 200}, "labels of pets": {"accuracy": 0.75, "images": 8}}
    found = {
        **{"world_before": {"shape": {"accuracy": 0.9}}, "world": {"shape": {"accuracy": 0.9}}},
        **{"old_before": before, "old": after, "old_in_mean": True, "old_reasons": {"labels of pets": "too few"}},
        "interpolation": {"frontier": [{"drop": {"shape": 0.0, "defect of welds": 0.0}}]},
    }
    return Metrics.of({**LEARNT, **found, **changes})


def test_what_was_labelled_before_counts_as_old_where_it_is_enough_and_is_told_in_any_case() -> None:
    assert forgotten(labelled()) == pytest.approx({"shape": 0, "defect of welds": 0.06})
    assert outcome(labelled()).endswith(
        "2 old tasks lost 3.0 points of accuracy in the mean, at most 6.0 (defect of welds); of what was labelled "
        "before it gets right: defect of welds 90 % → 84 %, labels of pets 100 % → 75 %"
    )


def test_what_is_too_little_for_the_mean_is_not_in_it() -> None:
    found = labelled(old_in_mean=False)
    assert mean_over(found) == {"shape": 0} and forgotten(found).keys() == {"shape", "defect of welds"}
    assert "1 old task lost 0.0 points of accuracy in the mean, at most 6.0 (defect of welds)" in outcome(found)
    alone = labelled(old_in_mean=False, world={}, world_before={})
    assert mean_over(alone) == {} and "the old task defect of welds lost 6.0 points of accuracy" in outcome(alone)
