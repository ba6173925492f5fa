"""What the defaults teach over several seeds: the report."""

import math
from dataclasses import replace
from pathlib import Path

from benchmarks.learning.job import Job
from benchmarks.learning.outcome import Outcome
from benchmarks.learning.seeds import DOMAINS, Domain, Findings, Run, bars, photographs, report, table
from tests.benchmarks.learning.test_report import cells

BASE = Outcome(0.1, 0.1, {"shape": 0.9, "count": 1.0}, own_sentence=0.05)
LEARNT = Outcome(0.99, 0.9, {"shape": 0.9, "count": 0.98}, own_sentence=0.6)
DOMAIN = Domain("drawings", "some drawings", least=0.9, least_own_sentence=0.55)


def run(new: float = 0.9, count: float = 0.98, own: float | None = 0.6, cpu_s: float = 100.0) -> Run:
    published = Outcome(0.99, new, {"shape": 0.9, "count": count}, own_sentence=own)
    return Run(Job(Path("job"), cpu_s, 300, (), 0.9), BASE, LEARNT, published)


def verdicts(*runs: Run) -> dict[str, bool]:
    return {each.asked: each.holds for each in bars([Findings(DOMAIN, runs)])}


def test_a_row_is_the_mean_of_the_seeds_from_the_lowest_to_the_highest() -> None:
    found = Findings(DOMAIN, [run(0.88), run(0.9, count=0.95), run(0.95, cpu_s=130)])
    (row,) = cells(table([found])).values()
    assert row == [
        *("3", "0.100", "0.910 (0.880 to 0.950)", "0.90", "0.900", "0.600"),
        *("-0.015 (-0.025 to -0.010)", "-0.010", "count -0.050", "300", "110 (100 to 130)"),
    ]


def test_a_domain_without_sentences_has_none_in_its_row() -> None:
    (row,) = cells(table([Findings(DOMAIN, [run(own=None)])])).values()
    assert row[5] == ""


def test_what_is_asked_is_asked_of_the_mean_of_the_seeds() -> None:
    asked = "drawings: accuracy at least 0.90"
    assert verdicts(run(0.88), run(0.9), run(0.93))[asked]
    assert not verdicts(run(0.88), run(0.9), run(0.91))[asked]


def test_sentences_and_the_old_tasks_are_asked_about_too() -> None:
    kept, said = "drawings: old tasks lose at most 0.015", "drawings: own sentence at least 0.55"
    assert verdicts(run(), run(), run()) == {
        "drawings: accuracy at least 0.90": True, kept: True, said: True,
    }  # fmt: skip
    assert not verdicts(run(), run(), run(count=0.93))[kept]
    assert not verdicts(run(), run(own=0.4), run())[said]


def test_seeds_that_are_not_run_yet_are_said_and_nothing_is_asked_of_the_others() -> None:
    found = Findings(DOMAIN, [run(), run()])
    assert bars([found]) == []
    assert "Not run with every seed yet: drawings." in report([found], "base-1")
    assert "Not run" not in report([Findings(DOMAIN, [run(), run(), run()])], "base-1")


def test_the_report_says_what_was_asked_and_found() -> None:
    stopped = Findings(replace(DOMAINS[0], least=None), [run(cpu_s=math.nan)] * 3)
    found = [Findings(DOMAIN, [run(), run(), run(0.8)]), stopped]
    said = report(found, "base-1")
    assert table(found) in said and "`base-1`" in said and "- `drawings`: some drawings" in said
    assert "3 of 4 hold." in said and "| drawings: accuracy at least 0.90 | 0.867 | miss |" in said


def test_photographs_that_have_a_bar_are_known_by_their_folders_name() -> None:
    assert photographs(Path("Signs")).least and photographs(Path("cats")).least is None
