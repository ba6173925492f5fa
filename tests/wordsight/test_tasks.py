import json
from argparse import ArgumentParser

from contract.questions import Parameters
from tests.wordsight.conftest import Shell
from wordsight.tasks import add_question, parameters_of


def test_a_saved_task_can_be_shown_listed_and_forgotten(shell: Shell) -> None:
    shell("tasks", "pet", "--labels", "cat,dog", "--top-k", 1)
    assert json.loads(shell("tasks", "pet").out)["top_k"] == 1
    assert "pet" in shell("tasks").out and shell("tasks", "--json").json["tasks"][0]["labels"] == 2
    assert shell("tasks", "pet", "--delete").status == 0
    assert shell("tasks", "--json").json["tasks"] == []
    assert "give its name" in shell("tasks", "--delete").err


OF_SEVERAL_QUESTIONS = {"tasks", "thresholds"}
"""Too much for a command line: they are saved, and asked by their names."""


def test_every_parameter_has_a_flag() -> None:
    parser = ArgumentParser()
    add_question(parser)
    said = [
        "--labels",
        "a",
        "--task",
        "t",
        "--words",
        "--template",
        "{}",
        "--multi-label",
        "--unknown",
        "--top-k",
        "1",
        "--threshold",
        "0",
    ]
    assert parameters_of(parser.parse_args(said)).keys() == Parameters.model_fields.keys() - OF_SEVERAL_QUESTIONS


def test_only_what_was_said_is_asked_and_one_task_is_no_list() -> None:
    parser = ArgumentParser()
    add_question(parser)

    def asked(*argv: str) -> object:
        return parameters_of(parser.parse_args(argv))

    assert asked("--labels", "a,b", "--top-k", "1") == {"candidate_labels": "a,b", "top_k": 1}
    assert asked("--task", "pet") == {"task": "pet"}
    assert asked("--task", "pet", "--words") == {"task": "pet", "taught": False}
    assert asked("--task", "pet", "--task", "mood", "--multi-label") == {"task": ["pet", "mood"], "multi_label": True}
