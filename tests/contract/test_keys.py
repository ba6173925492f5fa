import pytest

from contract.keys import ASK_KEY_PREFIX, kind_of


@pytest.mark.parametrize("key", ["", "9aa41cdcfb0f40d28c4ba3308d311a47", "manage-ask-1", "Ask-1", " ask-1"])
def test_a_key_manages_unless_it_says_first_that_it_only_asks(key: str) -> None:
    assert kind_of(key) == "manage"
    assert kind_of(ASK_KEY_PREFIX + key) == "ask"
