"""The report of what annotated images teach at once."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.learning.teach import (
    METHODS,
    TIMED,
    Errors,
    Findings,
    Tuned,
    Unknown,
    bars,
    chart,
    known_set,
    mean_of,
    report,
    with_errors,
    with_strangers,
    worse_share,
)
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.teaching import HEAD, SERVED, WORDS, Figures, Learnt
from model.evaluation.world import World
from tests.lambdas.manage.conftest import SHIPPED
from tests.model.evaluation.test_teaching import SCALE, a_set


def learnt(served: dict[int, float], words: float, error: float = 0.02) -> Learnt:
    """Of two draws, one a little better than the other."""
    by = {each: Figures([accuracy - 0.01, accuracy + 0.01], [error, error]) for each, accuracy in served.items()}
    alone = {each: Figures([words, words], [0.5, 0.5]) for each in served}
    return {WORDS: alone, **dict.fromkeys((*METHODS, HEAD, SERVED), by)}


HANDS = Findings(
    *("signs", False, learnt({1: 0.1, 16: 0.5, 100: 0.7}, 0.1), Errors(0.6, 0.5, 0.75), Tuned(0.4, 0.3, 110.0)),
    Unknown(0.04, 0.09, 0.98),
)
COUNT = Findings("count", True, learnt({1: 0.9, 16: 0.91}, 0.91))


def held(findings: list[Findings], cpu_s: float = 0.5) -> dict[str, tuple[str, bool]]:
    return {bar.asked.split(":")[0]: (bar.found, bar.holds) for bar in bars(findings, cpu_s)}


def test_what_holds_passes() -> None:
    told = held([HANDS, COUNT])
    assert told["signs, 16 images of each class"] == ("0.500", True)
    assert told["signs, 100 images of each class"] == ("0.700", True)
    assert all(holds for _, holds in told.values()) and len(told) == 6


def test_every_bar_can_be_missed() -> None:
    worse = replace(HANDS, learnt=learnt({1: 0.05, 16: 0.44, 100: 0.63}, 0.1, error=0.09))
    forgetting = replace(COUNT, learnt=learnt({1: 0.85, 16: 0.91}, 0.91))
    told = held([worse, forgetting], cpu_s=1.5)
    assert not any(holds for _, holds in told.values()) and len(told) == 6
    assert (
        told["tasks that the words know lose at most 0.02 in their mean, by any number of images"][0]
        == "+0.060 lost with 1"
    )
    assert "0.090 (signs at 16)" in [found for found, _ in told.values()]


def test_draws_that_are_worse_than_the_words_are_counted() -> None:
    assert worse_share([HANDS, COUNT], SERVED) == 0.0
    assert worse_share([replace(COUNT, learnt=learnt({1: 0.9, 2: 0.91}, 0.915))], SERVED) == 0.25


def test_the_mean_is_over_tasks_of_what_all_of_them_have() -> None:
    mean = mean_of([HANDS, COUNT])
    assert list(mean[HEAD]) == [1, 16] and mean[HEAD][16].accuracies == pytest.approx([0.695, 0.715])


def test_the_report_says_what_was_found_and_what_is_missed() -> None:
    text = report([HANDS, COUNT], 1.5, "base-1")
    assert "5 of 6 hold" in text and "| 1.50 s | miss |" in text and "`base-1`" in text
    assert "accuracy 0.400, calibration error 0.300, in 110 CPU seconds" in text
    assert "10% wrong labels, 16 images of each class: accuracy 0.600, ridge 0.500" in text and "75% are" in text
    assert "4% of the images that one of them fits, 9% of those of the other labels, and 98% of the other" in text
    assert "| count | 16 | 0.910 | 0.910 | 0.910 |" in text
    for name in METHODS:
        assert f"| {name} " in text


def test_a_chart_has_a_line_for_every_method() -> None:
    drawn = chart(HANDS.learnt, "accuracies", [WORDS, HEAD], "accuracy")
    assert drawn.startswith("<svg") and drawn.count("<polyline") == 2 and ">head</text>" in drawn


def test_wrong_labels_are_found_and_do_not_ruin_the_head() -> None:
    found = with_errors(a_set(16, misled=1.0), SCALE)
    assert found is not None and found.found > 0.8 and found.head > 0.9 and found.ridge > 0.5
    assert with_errors(a_set(8, misled=1.0), SCALE) is None


def test_strangers_are_called_so_and_what_a_label_fits_is_not() -> None:
    task = a_set(16, misled=0.0)
    strangers = normalize(torch.randn(100, task.texts.shape[1], generator=torch.Generator().manual_seed(0)), dim=1)
    found = with_strangers(task, strangers, SCALE)
    assert found is not None and found.fitting < 0.1 and found.elsewhere > 0.9
    assert with_strangers(a_set(8, misled=0.0), strangers, SCALE) is None


def test_a_task_of_the_world_is_taught_by_images_that_it_is_not_asked_about() -> None:
    found = known_set(World(Clip(load_checkpoint(SHIPPED)), 40), "count")
    assert not {*found.train.rows.tolist()} & {*found.test.rows.tolist()} and len(found.texts) == len(found.labels)


def test_the_time_is_of_what_the_bar_says() -> None:
    labels, each, width = TIMED
    assert f"{labels} labels with {each} images of {width} numbers" in bars([HANDS], 0.1)[-1].asked
