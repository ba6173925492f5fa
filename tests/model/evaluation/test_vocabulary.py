from model.evaluation.vocabulary import EVERYDAY, WORDS


def test_it_is_wide_and_has_no_word_twice() -> None:
    assert len(set(WORDS)) == len(WORDS) > len(EVERYDAY) > 120
