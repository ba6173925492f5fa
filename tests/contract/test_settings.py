"""The base of all settings: from text, to text, with a sentence for each bad value, and CDK's tokens left alone."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from contract.settings import Allowed, Origins, Settings, SettingsError, Switch

TOKEN = "${Token[TOKEN.42]}"


class Kitchen(Settings):
    ovens: int = Field(1, alias="OVENS", ge=1)
    name: Annotated[str, Field(pattern="^[a-z]+$"), Allowed("lower-case letters")] = Field("a", alias="NAME")
    open: bool = Field(False, alias="OPEN")
    clean: Switch = Field(True, alias="CLEAN")
    guests: Origins = Field((), alias="GUESTS")
    recipes: Path | None = Field(None, alias="RECIPES")


def test_what_was_chosen_comes_back_from_the_environment_and_defaults_stay_unwritten() -> None:
    chosen = Kitchen(ovens=2, open=True, clean=False, guests=("https://a.example", "*"), recipes=Path("/r"))
    environment = chosen.to_env()
    texts = {"OVENS": "2", "OPEN": "1", "CLEAN": "False", "GUESTS": "https://a.example,*", "RECIPES": "/r"}
    assert environment == texts and Kitchen.from_env(environment) == chosen
    assert Kitchen().to_env() == Kitchen(recipes=None).to_env() == {}


def test_what_is_empty_takes_the_default_and_what_is_a_strangers_is_passed_over() -> None:
    assert Kitchen.from_env({"OVENS": "", "GUESTS": "", "PATH": "/bin", "ovens": "9"}) == Kitchen()


def test_every_bad_value_is_named_by_its_variable() -> None:
    with pytest.raises(SettingsError) as refused:
        Kitchen.from_env({"OVENS": "0", "OPEN": "perhaps", "RECIPES": "/r"})
    first, second = str(refused.value).split("; ")
    assert first == "OVENS is '0': input should be greater than or equal to 1"
    assert second.startswith("OPEN is 'perhaps': input should be a valid boolean")


def test_a_value_that_is_given_directly_is_checked_too() -> None:
    with pytest.raises(SettingsError, match="ovens is 0: input should be greater"):
        Kitchen(ovens=0)
    with pytest.raises(SettingsError, match="spoons is 1: extra inputs are not permitted"):
        Kitchen(spoons=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["yes", "1", "on", ""])
def test_a_switch_is_true_or_false_in_these_words(text: str) -> None:
    assert Kitchen(clean=" TRUE ").clean is True  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=f"clean is '{text}'"):
        Kitchen(clean=text)  # type: ignore[arg-type]


def test_origins_are_separated_by_commas_and_a_bad_one_is_named_alone() -> None:
    assert Kitchen.from_env({"GUESTS": "https://a.example, http://b:80,"}).guests == (
        "https://a.example",
        "http://b:80",
    )
    with pytest.raises(SettingsError, match=r"GUESTS is 'b\.example'"):
        Kitchen.from_env({"GUESTS": "https://a.example,b.example"})


def test_cdks_tokens_pass_unharmed_where_names_and_where_numbers_stand() -> None:
    settings = Kitchen(ovens=TOKEN, name=f"{TOKEN}-1")  # type: ignore[arg-type]
    assert settings.to_env() == {"OVENS": TOKEN, "NAME": f"{TOKEN}-1"}
    with pytest.raises(SettingsError, match="name is"):
        Kitchen(name="Token[TOKEN.42]")
