import json
from argparse import ArgumentParser

from tests.wordsight.conftest import Shell
from wordsight.tasks import add_question, parameters_of


def test_a_saved_task_can_be_shown_listed_and_forgotten(shell: Shell) -> None:
    shell("tasks", "pet", "--labels", "cat,dog", "--top-k", 1)
    assert json.loads(shell("tasks", "pet").out)["top_k"] == 1
    assert "pet" in shell("tasks").out and shell("tasks", "--json").json["tasks"][0]["labels"] == 2
    assert shell("tasks", "pet", "--delete").status == 0
    assert shell("tasks", "--json").json["tasks"] == []
    assert "give its name" in shell("tasks", "--delete").err


def test_only_what_was_said_is_asked_and_one_task_is_no_list() -> None:
    parser = ArgumentParser()
    add_question(parser)

    def asked(*argv: str) -> object:
        return parameters_of(parser.parse_args(argv))

    assert asked("--labels", "a,b", "--top-k", "1") == {"candidate_labels": "a,b", "top_k": 1}
    assert asked("--task", "pet") == {"task": "pet"}
    assert asked("--task", "pet", "--task", "mood", "--multi-label") == {"task": ["pet", "mood"], "multi_label": True}
