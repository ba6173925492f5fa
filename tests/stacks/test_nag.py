import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack, aws_iam, aws_s3

from app import build
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from tests.stacks.conftest import DEV, PROD, REPOSITORY, Assembly, Synthesize


@pytest.mark.parametrize(
    ("stage", "auth"),
    [
        *((DEV, auth) for auth in ("api_key", "iam", "none")),
        *(pytest.param(PROD, auth, marks=pytest.mark.slow) for auth in ("api_key", "none")),
        (PROD, "iam"),
    ],
)
def test_cdk_nag_finds_nothing_that_has_no_reason(synthesize: Synthesize, stage: dict[str, str], auth: str) -> None:
    assembly = synthesize(**stage, auth=auth)  # a finding raises
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_cdk_nag_finds_nothing_where_buckets_are_adopted_and_requests_not_logged(adopting: Assembly) -> None:
    report = json.loads((adopting.directory / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_cdk_nag_would_find_what_has_no_reason(tmp_path: Path) -> None:
    """A bucket; a wildcard that another role may have; one in a statement beside those of the role's own."""
    app = App(
        context={**json.loads((REPOSITORY / "cdk.json").read_text())["context"], "nag": "true"}, outdir=str(tmp_path)
    )
    build(app)
    aws_s3.Bucket(Stack(app, "Other"), "Open")
    data, classify = (
        app.node.find_child("WordsightData-dev"),
        app.node.find_child("WordsightApi-dev").node.find_child("ClassifyFunction"),
    )
    assert isinstance(data, DataStack) and isinstance(classify, HandlerFunction)
    classify.permissions.allow(["s3:GetObject"], data.data.arn_for_objects("annotations/*"))
    classify.add_to_role_policy(aws_iam.PolicyStatement(actions=["states:*"], resources=["arn:aws:states:::one*"]))
    with pytest.raises(RuntimeError) as raised:
        app.synth()
    said = str(raised.value)
    assert "AwsSolutions-S10" in said
    found = {line.strip() for line in said.splitlines() if "ClassifyFunctionRole/DefaultPolicy" in line}
    assert len(found) == 1
    for resource in ("/annotations/*]", "IAM5[Resource::arn:aws:states:::one*]", "IAM5[Action::states:*]"):
        assert resource in said, resource


def acknowledged(assembly: Assembly) -> Iterator[tuple[str, str]]:
    """(construct's path, finding) of what `acknowledge` was called for; of roles, test_permissions.py tells."""
    manifest: dict[str, Any] = json.loads((assembly.directory / "manifest.json").read_text())
    for artifact in manifest["artifacts"].values():
        metadata = artifact.get("metadata", {})
        if file := artifact.get("additionalMetadataFile"):
            metadata |= json.loads((assembly.directory / file).read_text())
        for path, entries in metadata.items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    yield from ((path, id.partition("AwsSolutions-")[2]) for id in entry["data"])


def test_no_acknowledgement_reaches_further_than_one_role_bucket_or_api(assembly: Assembly) -> None:
    found = list(acknowledged(assembly))
    assert {finding for path, finding in found if path.endswith("/Api")} == {"APIG2", "APIG3", "APIG4", "COG4"}
    for path, finding in found:
        assert path.count("/") >= 2, f"{finding} at {path} holds for a whole stack"
        rule, _, detail = finding.partition("[")
        assert detail or rule in {"S1", "APIG2", "APIG3", "APIG4", "COG4"}, finding
    everything = {path.rpartition("/")[2] for path, finding in found if finding == "IAM5[Resource::*]"}
    assert all(name.endswith("Role") or name.startswith("LogRetention") for name in everything)
