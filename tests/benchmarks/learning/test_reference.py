"""What a reference set keeps: the report, and the base that it is about."""

from pathlib import Path

import pytest

from benchmarks import SHIPPED
from benchmarks.learning.job import Job
from benchmarks.learning.outcome import Outcome
from benchmarks.learning.reference import TRAININGS, Method, stand_in, table, verdict, write_report
from contract.metrics import Metrics
from model.clip.folder import load_metadata
from model.evaluation.agreement import Agreement
from tests.benchmarks.learning.test_report import cells

JOB = Job(Path("job"), 90.0, 250, (), 0.75)


def method(name: str, new: float, agreed: float, old: float, job: Job | None = JOB) -> Method:
    return Method(name, 1.0, Outcome(new, new, {"shape": old}), Agreement(agreed, agreed - 0.02, 0.04, 0.05), job)


def methods(new: float = 0.85, agreed: float = 0.975) -> list[Method]:
    return [
        method("zero-shot", 0.1, 1.0, 0.9, None),
        method("plain", 0.9, 0.5, 0.6),
        method("reference set", new, agreed, 0.89),
    ]


def test_every_method_has_what_it_gained_and_what_it_kept() -> None:
    rows = cells(table(methods()))
    assert rows["zero-shot"] == ["1", "0.100", "", "1.000", "0.980", "0.040", "0.900", "+0.000", ""]
    assert rows["plain"][1:4] == ["0.900", "100%", "0.500"]
    assert rows["reference set"] == [
        *("1", "0.850", "94%", "0.975", "0.955", "0.040", "0.890", "-0.010", "90"),
    ]


@pytest.mark.parametrize(
    ("new", "agreed", "said"),
    [
        (0.85, 0.975, "Both hold: 0.975 at 94%"),
        (0.85, 0.96, "The agreement does not hold: 0.960 at 94%"),
        (0.8, 0.975, "The gain does not hold: 0.975 at 88%"),
        (0.8, 0.96, "Neither holds: 0.960 at 88%"),
    ],
)
def test_the_report_says_whether_what_was_wanted_holds(new: float, agreed: float, said: str, tmp_path: Path) -> None:
    found = methods(new, agreed)
    assert said in verdict(found)
    write_report(found, tmp_path)
    report = (tmp_path / "reference.md").read_text()
    assert table(found) in report and verdict(found) in report


def test_the_stand_in_has_the_weights_and_says_nothing_of_the_world(tmp_path: Path) -> None:
    base = stand_in(SHIPPED, tmp_path / "base")
    assert (base / "model.safetensors").read_bytes() == (SHIPPED / "model.safetensors").read_bytes()
    assert Metrics.of(load_metadata(SHIPPED).metrics).learnt_from_world
    assert not Metrics.of(load_metadata(base).metrics).learnt_from_world
    assert stand_in(SHIPPED, tmp_path / "base") == base


def test_only_the_last_training_shows_reference_images() -> None:
    shares = [told.get("reference_share") for told in TRAININGS.values()]
    assert shares == ["0", None] and list(TRAININGS)[-1] == "reference set"
