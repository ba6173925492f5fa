from typing import Any

import pytest

from lambdas.gate.verdict import judge

GAIN = {"images": 40, "won": 20, "lost": 1, "mean": 0.4, "deviation": 0.3, "largest": 0.9, "unrelated": 0.0005}


def metrics(**changes: Any) -> dict[str, Any]:
    """Of a model that learnt much and forgot little."""
    frontier = [{"alpha": alpha, "drop": {"colour": 0.0, "shape": 0.0}} for alpha in (0, 0.5, 1)]
    world = {"colour": (0.95, 0.94), "shape": (0.9, 0.89), "unlearnt": (0.12, 0.0)}
    return {
        "gain": GAIN,
        "interpolation": {"alpha": 0.5, "max_forgetting": 0.02, "max_task_forgetting": 0.05, "frontier": frontier},
        "world_before": {task: {"accuracy": before, "chance": 0.1} for task, (before, _) in world.items()},
        "world": {task: {"accuracy": after, "chance": 0.1} for task, (_, after) in world.items()},
        **changes,
    }


def reason(**changes: Any) -> str:
    gate = judge(metrics(**changes))
    assert not gate.passed
    (only,) = gate.reasons
    return only


def test_a_model_that_learnt_much_and_forgot_little_passes_with_its_figures() -> None:
    gate = judge(metrics())
    assert (gate.passed, gate.reasons) == (True, [])
    assert gate.figures["won"] == 20 and 0 < gate.figures["p"] < 0.001
    assert gate.figures["mean_drop"] == 0.01 and gate.figures["old_tasks"] == 2


def test_what_luck_may_have_done_is_refused_with_the_counts() -> None:
    said = reason(gain={**GAIN, "won": 9, "lost": 7, "mean": 0.03})
    assert "of 40 validation images it wins 9 and loses 7" in said and "annotate more images" in said
    assert "+0.030 more probability to what is true, which luck alone would do with probability 0.3" in said


def test_what_fits_shuffled_labels_as_well_is_refused_however_much_better_it_is() -> None:
    said = reason(gain={**GAIN, "unrelated": 0.02})
    assert "nothing to do with what is true" in said and "with probability 0.02, where 0.01 is allowed" in said


@pytest.mark.parametrize("missing", ["images", "mean", "deviation", "largest", "unrelated"])
def test_a_gain_of_which_a_part_was_not_measured_is_refused(missing: str) -> None:
    gain = {name: value for name, value in GAIN.items() if name != missing}
    assert "it was not measured on how many validation images" in reason(gain=gain)


def test_the_bases_own_weights_are_nothing_new() -> None:
    interpolation = {**metrics()["interpolation"], "alpha": 0}
    assert "nothing new was learnt" in reason(interpolation=interpolation)


def test_where_nothing_was_trained_the_one_reason_is_why_with_the_figures() -> None:
    sentence = "Nothing is trained: annotated images already answer as well without a training: of 48 images 98 %."
    gate = judge(metrics(strategy={"chosen": "head", "sentence": sentence, "head": 0.02, "images": 48}))
    assert not gate.passed and gate.reasons == [f"n{sentence[1:-1]}"]
    assert gate.figures == {"chosen": "head", "head": 0.02, "images": 48}
    assert judge(metrics(strategy={"chosen": "projection", "sentence": "The visual projection alone."})).passed


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"colour": 0.95, "shape": 0.84}, "the old task 'shape' lost 0.060 of accuracy, and max_task_forgetting is"),
        (
            {"colour": 0.92, "shape": 0.87},
            "the mean over the 2 old tasks lost 0.030 of accuracy, and max_forgetting is",
        ),
    ],
)
def test_forgetting_beyond_a_limit_is_refused(after: dict[str, float], said: str) -> None:
    world = {task: {"accuracy": accuracy} for task, accuracy in {**after, "unlearnt": 0.0}.items()}
    assert any(said in reason for reason in judge(metrics(world=world)).reasons)


def test_what_the_base_could_hardly_do_can_not_be_forgotten() -> None:
    assert judge(metrics()).figures["worst_task"] != "unlearnt"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("gain", "not measured on how many validation images"),
        ("world_before", "not measured what the model has forgotten"),
        ("world", "not measured what the model has forgotten"),
    ],
)
def test_what_was_not_measured_is_refused(missing: str, said: str) -> None:
    assert said in reason(**{missing: None})


@pytest.mark.parametrize("found", [{}, {"interpolation": [], "gain": 3, "world": "x", "world_before": {"a": 1}}])
def test_figures_of_another_program_are_refused_and_break_nothing(found: dict[str, Any]) -> None:
    gate = judge(found)
    assert not gate.passed and len(gate.reasons) == 3


REFERENCE = {"learnt": 600, "images": 300, "agreement": 0.97, "agreement_at_least": 0.95, "variation": 0.03}


def test_the_answers_to_a_reference_set_are_an_old_task_under_the_same_limits() -> None:
    gate = judge(metrics(reference=REFERENCE))
    assert gate.passed and gate.figures["old_tasks"] == 3 and gate.figures["worst_task"] == "reference images"
    assert gate.figures["reference_agreement"] == 0.97 and gate.figures["worst_drop"] == 0.03
    drifted = {**REFERENCE, "agreement": 0.945}
    mean, one = judge(metrics(reference=drifted)).reasons
    assert mean == "the mean over the 3 old tasks lost 0.025 of accuracy, and max_forgetting is 0.02"
    assert one == "the answers to the reference images lost 0.055 of accuracy, and max_task_forgetting is 0.05"


def test_a_reference_set_of_which_nothing_could_be_measured_is_refused() -> None:
    said = reason(reference={"learnt": 0, "images": 0, "unreadable": 40, "of_dataset": 0})
    assert "none of them could be used" in said and "train without a reference set" in said


def labelled(after: float, small: float = 1.0, **changes: Any) -> dict[str, Any]:
    """With a set of 200 images that were labelled before, and one of 8, for which the limits do not hold."""
    before = {"defect of welds": {"accuracy": 0.9, "images": 200}, "labels of pets": {"accuracy": 1.0, "images": 8}}
    found = {
        **{"old_before": before, "old_in_mean": True, "old_reasons": {"labels of pets": "8 images are too few"}},
        "old": {
            "defect of welds": {"accuracy": after, "images": 200},
            "labels of pets": {"accuracy": small, "images": 8},
        },
        "old_change": {"labels of pets": {"estimate": small - 1, "low": -1.0, "high": -0.9}},
    }
    given = metrics(**{**found, **changes})
    for point in given["interpolation"].get("frontier", []):
        point["drop"]["defect of welds"] = 0.0
        point["surely_lost"] = {"labels of pets": max(0.0, 0.7 - small) if point["alpha"] == 0.5 else point["alpha"]}
    return given


def test_what_was_labelled_before_is_an_old_task_under_the_same_limits_and_each_set_is_told() -> None:
    gate = judge(labelled(0.88, 0.75))
    assert gate.passed and gate.figures["old_tasks"] == 3
    assert gate.figures["labelled_before"] == {
        "defect of welds": {"before": 0.9, "after": 0.88, "images": 200},
        "labels of pets": {"before": 1.0, "after": 0.75, "images": 8, "no_limit": "8 images are too few"},
    }
    assert any("the old task 'defect of welds' lost 0.060" in each for each in judge(labelled(0.84)).reasons)


def test_what_is_too_little_for_the_mean_has_a_limit_of_its_own_alone() -> None:
    assert "mean_drop" in judge(labelled(0.86)).figures
    mean, alone = (judge(labelled(0.86, old_in_mean=each)).figures["mean_drop"] for each in (True, False))
    assert mean > alone


def test_a_set_that_is_too_small_refuses_a_model_only_where_the_loss_was_sure_when_it_was_chosen() -> None:
    assert judge(labelled(0.9, 0.65)).passed
    for interpolation in ({**metrics()["interpolation"], "alpha": 1}, {**metrics()["interpolation"], "alpha": 0.25}):
        assert judge(labelled(0.9, 0.5, interpolation=interpolation)).passed == (interpolation["alpha"] == 0.25)
    earlier = labelled(0.9, 0.5)
    for point in earlier["interpolation"]["frontier"]:
        del point["surely_lost"]
    assert judge(earlier).passed, "of an earlier training it is not known"
    (reason,) = judge(labelled(0.9, 0.5)).reasons
    assert reason == (
        "the old task 'labels of pets' lost 0.500 of accuracy on 8 images, and for sure more than 0.05, which is what "
        "max_task_forgetting is"
    )
