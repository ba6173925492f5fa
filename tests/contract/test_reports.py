"""What a training reports: bounded, and read as it was written."""

import pytest
from pydantic import ValidationError

from contract.progress import MAX_HISTORY_POINTS
from contract.reports import Report, ReportView

TOLD = {"version": "v", "created": "", "outcome": "It learnt."}


def test_a_report_of_nothing_measured_is_one_and_a_later_versions_fields_are_passed_over() -> None:
    report = Report.model_validate({**TOLD, "later": 1})
    assert report.history == report.tasks == report.mistakes == [] and report.accuracy_after is None
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_the_curves_are_no_longer_than_those_of_a_running_training() -> None:
    points = [{"step": step} for step in range(MAX_HISTORY_POINTS + 1)]
    assert Report.model_validate({**TOLD, "history": points[1:]})
    with pytest.raises(ValidationError):
        Report.model_validate({**TOLD, "history": points})


def test_what_the_api_answers_has_the_report_itself_at_its_top() -> None:
    assert Report.model_fields.keys() < ReportView.model_fields.keys()
