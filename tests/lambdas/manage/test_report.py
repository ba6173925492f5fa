"""Reports of trainings through the API's function."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.reports import Report
from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.manage.conftest import Stage


def reported(stage: Stage, **changes: Any) -> Report:
    """What a training has left beside the checkpoint of the model `one`."""
    told = {"version": "one", "created": "2026-11-22T12:00:00+00:00", "outcome": "It learnt.", "alpha": 0.75}
    report = Report.model_validate({**told, **changes})
    for name, content in (("report.json", report.model_dump_json()), ("report.html", "<!doctype html>")):
        stage.bucket.put_object(Key=f"models/one/output/model/{name}", Body=content)
    return report


def test_a_report_is_answered_with_the_verdict_and_an_address_of_its_page(stage: Stage) -> None:
    metrics = {"before": {"validation_accuracy": 0.33}, "after": {"validation_accuracy": 0.94}}
    stage.trained(metrics=metrics)
    report = reported(stage, recipe={"epochs": 5})
    answer = stage.ask("GET", "/models/one/report")
    assert answer.status == 200 and conforms(answer.json, "ReportView")
    assert Report.model_validate(answer.json) == report
    verdict = "It may go live: it gets 94 % of the validation images right, and its base 33 %."
    assert (answer.json["gate"]["passed"], answer.json["verdict"]) == (True, verdict)
    url = urlsplit(answer.json["html_url"])
    assert url.path.endswith("/models/one/output/model/report.html") and answer.json["expires_in_s"] == 900
    asked = parse_qs(url.query)
    assert asked["response-content-type"] == ["text/html; charset=utf-8"]
    assert stage.ask("GET", "/models/one").json["verdict"] == verdict


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "before trainings wrote one"),
        ({"source": "import", "artifact_s3_uri": "s3://elsewhere/models/x/"}, "it was brought along"),
    ],
)
def test_a_model_without_a_report_says_why(stage: Stage, changes: dict[str, Any], why: str) -> None:
    stage.trained(**changes)
    for version, said in (("one", why), ("base", "came with the image"), ("two", "there is no model 'two'")):
        answer = stage.ask("GET", f"/models/{version}/report")
        assert answer.status == 404 and said in answer.detail
