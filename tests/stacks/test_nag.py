import json
from pathlib import Path

import pytest
from aws_cdk import App, Stack, aws_s3

from app import build
from tests.stacks.conftest import Synthesize


@pytest.mark.parametrize("auth", ["api_key", "iam", "none"])
@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_cdk_nag_finds_nothing_that_has_no_reason(synthesize: Synthesize, stage: str, auth: str) -> None:
    assembly = synthesize(stage=stage, auth=auth, nag="true")  # a finding raises
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_cdk_nag_would_find_what_has_no_reason(tmp_path: Path) -> None:
    app = App(context={"nag": "true"}, outdir=str(tmp_path))
    build(app)
    aws_s3.Bucket(Stack(app, "Other"), "Open")
    with pytest.raises(RuntimeError, match="AwsSolutions-S10"):
        app.synth()
