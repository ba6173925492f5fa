"""Classes as sentences."""

from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE
from model.data.class_wording import HELD_OUT_WORDINGS, TRAINING_WORDINGS, said_in_evaluation, said_in_training


def test_a_class_is_said_in_eight_wordings_or_more_and_asked_in_others() -> None:
    said, asked = said_in_training("traffic_light"), said_in_evaluation("traffic_light")
    assert len(set(said)) == len(TRAINING_WORDINGS) >= 8
    assert not set(said) & set(asked)
    assert len(asked) == len(HELD_OUT_WORDINGS)


def test_what_the_server_asks_by_default_is_never_trained_on() -> None:
    assert DEFAULT_HYPOTHESIS_TEMPLATE.format("owl") in said_in_evaluation("owl")


def test_a_folder_name_is_said_as_words_with_the_right_article() -> None:
    assert said_in_training("ice-cream__cone")[:3] == (
        "ice cream cone",
        "an ice cream cone",
        "a photo of ice cream cone",
    )


def test_odd_names_are_said_too() -> None:
    assert said_in_training("Apple_Pie")[1] == "an Apple Pie"
    assert said_in_training("_")[0] == "_"
    assert said_in_training("{0}")[2] == "a photo of {0}"
