"""The identity of texts, beside the tokenizer that decides it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from contract.texts import distinct, distinct_each, same_to_the_model, twins

TOKENIZER = AutoTokenizer.from_pretrained("model/shipped")


def tokens(text: str) -> list[int]:
    ids: list[int] = TOKENIZER(text, truncation=False, padding=False)["input_ids"]
    return ids


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("fish", "Fish"),
        ("fish", " fish\t"),
        ("a red fish", "A  red\u00a0fish\n"),
        ("caf\u00e9", "cafe\u0301"),
        ("route 66", "route 6 6"),
        ("black-white", "black - white"),
        ("ΟΔΟΣ", "οδοσ"),
        ("the dog's", "the dog 's"),
    ],
)
def test_texts_of_the_same_tokens_are_the_same(text: str, twin: str) -> None:
    assert tokens(text) == tokens(twin)
    assert same_to_the_model(text) == same_to_the_model(twin)


@pytest.mark.parametrize(
    ("text", "other"), [("fish", "fishes"), ("a fish", "afish"), ("'sad", "' sad"), ("fish", "fish!"), ("e", "é")]
)
def test_texts_of_other_tokens_are_not(text: str, other: str) -> None:
    assert tokens(text) != tokens(other)
    assert same_to_the_model(text) != same_to_the_model(other)


SIGNS = st.one_of(
    st.sampled_from("aBß'sıİΣ 1²½Ⅷ-_.\u0301\u0345\u00a0\u1e9e\x1c\x85"),
    # what Python's Unicode has not yet assigned may be a letter in the tokenizer's
    st.characters(exclude_categories=("Cn", "Cs")),
)
TEXTS = st.text(SIGNS, max_size=8)


@given(TEXTS, TEXTS)
def test_it_is_the_same_exactly_where_the_tokens_are(text: str, other: str) -> None:
    assert (same_to_the_model(text) == same_to_the_model(other)) == (tokens(text) == tokens(other))


@given(TEXTS)
def test_what_the_model_reads_stays_what_it_is(text: str) -> None:
    assert same_to_the_model(same_to_the_model(text)) == same_to_the_model(text)
    assert tokens(same_to_the_model(text)) == tokens(text)


@given(st.lists(TEXTS, max_size=6))
def test_twins_are_found_where_there_are_any_and_only_the_first_of_them_counts(texts: list[str]) -> None:
    identities = [same_to_the_model(text) for text in texts]
    first = [text for place, text in enumerate(texts) if identities[place] not in identities[:place]]
    assert distinct(texts) == first and distinct_each([texts, ["x", "X"], texts]) == [first, ["x"], first]
    found = twins(texts)
    assert (found is None) == (len(set(identities)) == len(texts))
    assert found is None or same_to_the_model(found[0]) == same_to_the_model(found[1])
