"""The learning report's tables and charts."""

from dataclasses import replace
from pathlib import Path

from benchmarks.learning.job import Job
from benchmarks.learning.outcome import NEW, Outcome
from benchmarks.learning.report import Findings, Training, calibration_table, methods_table, task_table, write_report

BASE = Outcome(0.1, 0.1, {"shape": 0.9, "count": 1.0}, {"shape": 0.01, "count": 0.02, NEW: 0.6})
PLAIN = Outcome(0.95, 0.9, {"shape": 0.7, "count": 0.4})
KEPT = Outcome(0.9, 0.82, {"shape": 0.88, "count": 0.92})
KEPT_CALIBRATED = replace(KEPT, calibration_errors={"shape": 0.03, "count": 0.09, NEW: 0.06})


def training(name: str, tuned: Outcome, share: float, published: Outcome) -> Training:
    job = Job(Path(name), 90.0, 300, ((25, 0.3), (50, 0.6)), share)
    return Training(name, job, {0.0: BASE, 1.0: tuned}, published)


FOUND = Findings(
    "digits",
    BASE,
    [training("plain", PLAIN, 0.0, BASE), training("replay", KEPT, 0.75, KEPT_CALIBRATED)],
)


def cells(table: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: rest for name, *rest in rows}


def test_every_method_has_what_it_gained_and_what_it_cost() -> None:
    rows = cells(methods_table(FOUND))
    assert rows["zero-shot"] == ["0", "0.100", "0.100", "0.950", "+0.000", "none", "", ""]
    assert rows["plain"] == ["1", "0.950", "0.900", "0.550", "-0.400", "count -0.600", "300", "90"]
    assert rows["plain + interpolation"][:4] == ["0", "0.100", "0.100", "0.950"]
    assert rows["replay + interpolation (the default)"][0] == "0.75"


def test_every_old_task_is_there_before_and_after() -> None:
    assert cells(task_table(FOUND))["count"] == ["1.000", "0.400", "1.000", "0.920", "0.920"]


def test_what_was_published_is_judged_by_how_honest_its_scores_are_and_other_mixtures_are_not() -> None:
    table = calibration_table(FOUND)
    assert table.splitlines()[0] == (
        "| task | zero-shot | plain + interpolation | replay + interpolation (the default) |"
    )
    assert cells(table) == {
        "shape": ["0.010", "0.010", "0.030"],
        "count": ["0.020", "0.020", "0.090"],
        NEW: ["0.600", "0.600", "0.060"],
        "mean": ["0.210", "0.210", "0.060"],
        "worst": ["0.600", "0.600", "0.090"],
    }


def test_the_report_says_how_much_of_plains_gain_and_forgetting_is_left(tmp_path: Path) -> None:
    write_report([FOUND], "base-1", tmp_path)
    report = (tmp_path / "learning.md").read_text()
    assert calibration_table(FOUND) in report
    assert "| replay | 90% | 12% |" in report and "`base-1`" in report and "3 CPU minutes" in report
    for chart in ("learning-digits-frontier.svg", "learning-digits-curves.svg"):
        assert f"]({chart})" in report and (tmp_path / chart).read_text().startswith("<svg")
