from contract.gain import ALPHAS, SIGNIFICANCE, chance_allowed, fewest_wins, sign_test


def test_the_sign_test_is_exact() -> None:
    assert sign_test(5, 0) == 1 / 32
    assert sign_test(3, 1) == 5 / 16
    assert sign_test(0, 0) == 1.0


def test_chance_is_shared_among_the_mixtures_that_were_chosen_from() -> None:
    assert chance_allowed(0) == chance_allowed(1) == SIGNIFICANCE
    assert chance_allowed(5) == SIGNIFICANCE / 5


def test_the_fewest_wins_are_enough_and_one_less_is_not() -> None:
    assert (fewest_wins(1), fewest_wins()) == (5, 7)
    for mixtures in (1, len(ALPHAS) - 1, 40):
        won = fewest_wins(mixtures)
        assert sign_test(won, 0) < chance_allowed(mixtures) <= sign_test(won - 1, 0)
