import json
from pathlib import Path
from typing import Any

import pytest

from contract.limits import API_KEY_HEADER
from contract.models import Gate, Model
from contract.reports import Report
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.control_plane import StepFunctions
from tests.lambdas.manage.conftest import SHIPPED
from tests.wordsight.conftest import Shell, System
from tests.wordsight.test_api import Answers, answering
from wordsight.__main__ import main
from wordsight.models import card


@pytest.fixture
def one(system: System) -> Model:
    model = Model(
        version="one",
        parent="base",
        artifact_s3_uri=f"s3://{SETTINGS.data_bucket}/models/one/",
        created="2026-11-22T12:00:00+00:00",
        source="training",
        gate=Gate(passed=False, reasons=["it is no better"]),
    )
    system.registry.add(model)
    return model


class Ends(StepFunctions):
    """Promotions end as soon as they begin."""

    def __init__(self, system: System, **outcome: Any) -> None:
        super().__init__()
        self._system, self._outcome = system, outcome

    def start_execution(self, **request: Any) -> dict[str, Any]:
        promotion = self._system.registry.promotion(request["name"])
        assert promotion is not None
        self._system.registry.put(promotion.model_copy(update=self._outcome))
        return super().start_execution(**request)


def test_the_versions_are_listed_with_the_one_that_is_live(shell: Shell, one: Model) -> None:
    heads, base, trained = shell("models").out.splitlines()
    assert heads.split()[:2] == ["VERSION", "LIVE"]
    assert base.split()[:2] == ["base", "live"] and trained.split()[:3] == ["one", "-", "refused"]
    assert [each["version"] for each in shell("models", "--json").json["models"]] == ["base", "one"]
    assert shell("models", "one", "--json").json["gate"]["reasons"] == ["it is no better"]
    assert "refused: it is no better" in shell("models", "one").out
    assert "there is no model 'two'" in shell("models", "two").err


def test_the_report_of_a_version_is_printed_or_kept_as_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = "<!doctype html>ø".encode()
    answers: Answers = []
    with answering(answers) as (url, seen):
        told = {"outcome": "It learnt.", "verdict": None, "html_url": f"{url}signed"}
        answers.extend([(200, {}, json.dumps(told).encode()), (200, {}, page)] * 2)
        answers += [(200, {}, json.dumps({**told, "verdict": "It may go live."}).encode()), (404, {}, b"")]

        def run(*more: str) -> int:
            return main(["models", "one", "--report", *more, "--url", url, "--api-key", "k"], {})

        assert run() == 0
        assert (tmp_path / "report-one.html").read_bytes() == page
        assert capsys.readouterr().out == "It learnt.\nreport-one.html has the report: open it in a browser\n"
        assert run("x.html") == 0 and (tmp_path / "x.html").read_bytes() == page
        assert run() == 1 and "did not hand out the report: 404" in capsys.readouterr().err
    keys = {path: API_KEY_HEADER in headers for path, headers, _ in seen}
    assert keys == {"/v1/models/one/report": True, "/v1/signed": False}


def test_as_json_the_report_is_the_apis(shell: Shell, system: System, one: Model) -> None:
    report = Report(version="one", created="", outcome="It learnt.")
    system.bucket.put_object(Key="models/one/report.json", Body=report.model_dump_json())
    answer = shell("models", "one", "--report", "--json").json
    assert (answer["outcome"], answer["verdict"]) == ("It learnt.", "It may not go live: it is no better.")


def test_a_version_without_a_report_says_so(shell: Shell, one: Model) -> None:
    ran = shell("models", "one", "--report")
    assert ran.status == 1 and "has no report" in ran.err
    assert "the report of which model?" in shell("models", "--report").err


def test_a_version_that_the_gate_refused_goes_live_by_force_only(shell: Shell, system: System, one: Model) -> None:
    refused = shell("promote", "one")
    assert refused.status == 1 and "the gate refused" in refused.err
    system.stepfunctions = Ends(system, state="live")
    ran = shell("promote", "one", "--force")
    assert (ran.status, ran.out) == (0, "one is live\n")


def test_a_promotion_that_failed_says_why(shell: Shell, system: System, one: Model) -> None:
    system.stepfunctions = Ends(system, state="failed", reason="the endpoint did not come up")
    ran = shell("promote", "one", "--force")
    assert ran.status == 1 and "one did not go live: the endpoint did not come up" in ran.err


def test_who_does_not_wait_is_told_that_it_was_requested(shell: Shell, one: Model) -> None:
    assert shell("promote", "one", "--force", "--no-wait").out == "one is requested\n"


def test_a_card_tells_in_a_screen_what_a_version_is(shell: Shell, system: System) -> None:
    metrics = json.loads((SHIPPED / "wordsight.json").read_text())["metrics"]
    figures = {"before": {"validation_accuracy": 0.33}, "after": {"validation_accuracy": 0.941}}
    system.registry.add(
        Model(
            version="two",
            parent="base",
            artifact_s3_uri="s3://b/models/two/",
            created="2026-11-22",
            source="training",
            gate=Gate(passed=True),
            metrics={**metrics, **figures, "step": 1200},
        )
    )
    ran = shell("models", "two")
    rows = dict(line.split("  ", 1) for line in ran.out.splitlines())
    said = {name: value.strip() for name, value in rows.items()}
    assert (said["version"], said["parent"], said["gate"], said["live"]) == ("two", "base", "passed", "no")
    assert said["accuracy"] == "33.0% before, 94.1% now" and said["old tasks"].endswith("%")
    assert len(ran.out.splitlines()) < 20
    assert shell("models", "two", "--json").json["metrics"]["step"] == 1200


def test_a_card_shows_what_the_model_knows_where_the_api_tells_it() -> None:
    known = {"knows": "Drawings only.", "languages": ["en", "de"], "licence": "MIT"}
    told = card({"version": "a", "live": True, "artifact_s3_uri": "s3://none/", **known})
    assert "knows       Drawings only." in told and "en, de" in told and "MIT" in told
