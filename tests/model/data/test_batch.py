"""In which order a run sees its images."""

from collections import Counter

import numpy as np

from model.data.batch import one_of_each, shuffled_rows, weighted_rows


def test_every_epoch_holds_every_row_once_in_an_order_of_its_own() -> None:
    epochs = [shuffled_rows(0, 50, 50 * epoch, 50) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len(set(epochs)) == 3


def test_rows_do_not_depend_on_how_they_are_cut_into_batches() -> None:
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.0])
    whole = weighted_rows(7, weights, 0, 23)
    assert whole == tuple(row for start in range(23) for row in weighted_rows(7, weights, start, 1))
    assert whole != weighted_rows(8, weights, 0, 23)


def test_rows_of_equal_weight_come_as_without_weights() -> None:
    assert weighted_rows(3, np.full(40, 0.7), 35, 60) == shuffled_rows(3, 40, 35, 60)


def test_in_every_epoch_a_row_comes_as_often_as_its_share_says_give_or_take_one() -> None:
    weights = np.random.default_rng(0).uniform(0.1, 3, 200)
    share = weights / weights.sum() * 200
    totals = np.zeros(200)
    for epoch in range(100):
        shown = Counter(weighted_rows(0, weights, 200 * epoch, 200))
        counts = np.array([shown[row] for row in range(200)])
        assert counts.sum() == 200
        assert np.all((counts >= np.floor(share)) & (counts <= np.ceil(share)))
        totals += counts
    assert np.abs(totals / 100 - share).max() < 0.2


def test_of_texts_the_same_to_the_model_the_first_is_kept() -> None:
    assert one_of_each(["A cat", "a  CAT", "a dog", "caf\u00e9", "cafe\u0301"]) == ("A cat", "a dog", "caf\u00e9")
