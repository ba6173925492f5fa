"""Figures as Markdown tables."""

from model.evaluation.report import changes_table, markdown, tasks_table

ROWS = [["shape", "1"], ["colour", ""]]


def test_a_table_has_a_line_for_its_head_and_for_every_row() -> None:
    assert markdown(["task", ""], ROWS).splitlines() == [
        "| task |  |",
        "| --- | --- |",
        "| shape | 1 |",
        "| colour |  |",
    ]


def test_an_aligned_table_reads_well_as_plain_text() -> None:
    assert markdown(["task", "n"], ROWS, aligned=True).splitlines() == [
        "| task   | n   |",
        "| ------ | --- |",
        "| shape  | 1   |",
        "| colour |     |",
    ]


def test_figures_that_only_some_tasks_have_are_left_out() -> None:
    tasks = {"shape": {"accuracy": 0.5, "images": 12}, "size": {"accuracy": 1.0}}
    assert tasks_table(tasks).splitlines()[::2] == ["| task  | accuracy |", "| shape | 0.500    |"]


def test_a_change_has_its_sign_and_its_interval() -> None:
    changed = {"shape": {"estimate": -0.25, "low": -0.5, "high": 0.125}}
    table = changes_table({"shape": {"accuracy": 0.5}}, {"shape": {"accuracy": 0.25}}, changed)
    assert table.splitlines()[2] == "| shape | 0.500  | 0.250 | -0.250 | -0.500 to +0.125 |"
