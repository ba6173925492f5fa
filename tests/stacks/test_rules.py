"""What may not be deployed fails synth with a sentence: here are templates with what each rule forbids."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnResource, Stack
from aws_cdk import aws_logs as logs
from cdk_preflight import Preflight

from app import build
from stacks.rules import RULES, check_with_rules
from tests.stacks.conftest import PROD, REPOSITORY, Assembly

ROUTING = "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration"
KEY = "12345678-1234-1234-1234-123456789012"
FOLDER = {"S3Uri": "s3://models/one", "S3DataType": "S3Prefix", "CompressionType": "None"}
AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
OLD_AMI = "al2-ami-sagemaker-inference-gpu-3-1"

ON_CPU: dict[str, list[tuple[str, Any]]] = {
    "Model": [("ModelName", "fixed"), ("PrimaryContainer.ModelDataSource", {"S3DataSource": FOLDER})],
    "EndpointConfig": [
        ("EndpointConfigName", "fixed"),
        ("ProductionVariants.0.InferenceAmiVersion", AMI),
        ("ProductionVariants.0.VariantName", "Blue"),
        ("ProductionVariants.0.ContainerStartupHealthCheckTimeoutInSeconds", 3601),
        ("ProductionVariants.0.ModelDataDownloadTimeoutInSeconds", 59),
    ],
    "Endpoint": [
        (f"{ROUTING}.Type", "CANARY"),
        ("DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds", 600),
    ],
}
ON_GPU: dict[str, list[tuple[str, Any]]] = {
    "EndpointConfig": [("ProductionVariants.0.InferenceAmiVersion", OLD_AMI), ("KmsKeyId", KEY)],
    "Endpoint": [
        (f"{ROUTING}.WaitIntervalInSeconds", None),
        ("DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds", 599),
    ],
    "ScalableTarget": [("ResourceId", "endpoint/wordsight-prod/variant/Blue")],
}
WITHOUT_DRIVER: dict[str, list[tuple[str, Any]]] = {
    "EndpointConfig": [("ProductionVariants.0.InferenceAmiVersion", None)]
}

EXPECTED = [
    ("cpu", "Wordsight-FixedName", "ModelName is fixed: every change replaces the resource"),
    ("cpu", "Wordsight-FixedName", "EndpointConfigName is fixed: every change replaces the resource"),
    (
        "cpu",
        "Wordsight-ModelFolder",
        "S3Uri is s3://models/one, allowed: the prefix of a folder, which ends with a slash",
    ),
    ("cpu", "Wordsight-DriverWithoutGpu", f"InferenceAmiVersion is {AMI}, but ml.c7i.xlarge has no GPU: leave it out"),
    ("cpu", "Wordsight-AlarmOfNoVariant", "the alarm watches the variant AllTraffic, which no endpoint configuration"),
    ("cpu", "Wordsight-TrafficOfOneInstance", "Type is CANARY, but the fleet has 1 instance, which can't be divided"),
    ("cpu", "Wordsight-UpdateTimeout", "MaximumExecutionTimeoutInSeconds is 600, allowed: more than the 4260"),
    # these are the library's own
    ("cpu", "F3034", "3601 is greater than the maximum of 3600"),
    ("cpu", "F3034", "59 is less than the minimum of 60"),
    ("gpu", "F3034", "599 is less than the minimum of 600"),
    ("gpu", "Wordsight-GpuDriverOfImage", f"InferenceAmiVersion is {OLD_AMI}, whose driver can't run the CUDA 13"),
    ("gpu", "Wordsight-KeyOfLocalDisk", "KmsKeyId is set, but ml.g4dn.xlarge has a disk of its own"),
    ("gpu", "Wordsight-NoWaitInterval", "WaitIntervalInSeconds is missing beside the Type CANARY"),
    ("gpu", "Wordsight-ScalingOfNoVariant", "autoscaling is for the variant Blue, which no endpoint configuration"),
    ("no driver", "Wordsight-GpuDriver", "InferenceAmiVersion is missing for ml.g4dn.xlarge"),
]

Findings = list[tuple[str, str]]


def app_of(directory: Path, **context: str) -> App:
    flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    return App(context={**flags, **context}, outdir=str(directory))


def findings_of(app: App) -> Findings:
    """(rule, sentence) of everything that fails synth."""
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    reports = json.loads((Path(app.outdir) / "validation-report.json").read_text())["pluginReports"]
    found = [each for report in reports for each in report["violations"]]
    return [(each["ruleName"], each["description"]) for each in found if each["severity"] in ("error", "fatal")]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """What is found in this app's own serving stack with some of its properties changed."""

    def found(changes: dict[str, list[tuple[str, Any]]], **context: str) -> Findings:
        app = app_of(tmp_path_factory.mktemp("planted"), **context)
        build(app)
        stack = app.node.find_child(f"WordsightServing-{context['stage']}")
        for id, properties in changes.items():
            resource = stack.node.find_child(id)
            assert isinstance(resource, CfnResource)
            for path, value in properties:
                if value is None:
                    resource.add_property_deletion_override(path)
                else:
                    resource.add_property_override(path, value)
        return findings_of(app)

    return {
        "cpu": found(ON_CPU, stage="dev"),
        "gpu": found(ON_GPU, **PROD),
        "no driver": found(WITHOUT_DRIVER, **PROD),
    }


@pytest.mark.parametrize(("where", "rule", "sentence"), EXPECTED, ids=[f"{rule}: {said}" for _, rule, said in EXPECTED])
def test_what_sagemaker_would_refuse_fails_synth_with_a_sentence(
    planted: dict[str, Findings], where: str, rule: str, sentence: str
) -> None:
    assert [said for found, said in planted[where] if found == rule and sentence in said]


def test_nothing_else_is_found(planted: dict[str, Findings]) -> None:
    for where, findings in planted.items():
        for rule, said in findings:
            assert any(each in said for place, id, each in EXPECTED if (place, id) == (where, rule)), (rule, said)


def test_every_rule_is_broken_here() -> None:
    written = {each.split('"')[0] for each in RULES.read_text().split('"Wordsight-')[1:]}
    assert {f"Wordsight-{each}" for each in written} == {rule for _, rule, _ in EXPECTED if rule.startswith("Words")}


def test_the_stages_keep_the_rules(assembly: Assembly) -> None:
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    assert report["pluginReports"] == []


def test_what_another_service_would_refuse_fails_synth_too(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    unclosed(Stack(app, "Other"))
    check_with_rules(app)
    ((rule, said),) = findings_of(app)
    assert rule == "pf-logs-filter-pattern-bracket" and "must end with ']'" in said


def test_there_are_as_many_as_the_documents_say() -> None:
    assert f"{len(Preflight.rule_ids()):,} such" in (REPOSITORY / "docs/aws.md").read_text(encoding="utf-8")


def test_cdks_own_switch_turns_them_off(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    unclosed(Stack(app, "Other"))
    check_with_rules(app, {"CDK_VALIDATION": "false"})
    app.synth()


def unclosed(stack: Stack) -> None:
    logs.CfnMetricFilter(
        stack,
        "Filter",
        filter_pattern="[time, level=ERROR",
        log_group_name="/one",
        metric_transformations=[
            logs.CfnMetricFilter.MetricTransformationProperty(
                metric_name="Errors", metric_namespace="One", metric_value="1"
            )
        ],
    )


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[subprocess.CompletedProcess[str]]:
    cdk = REPOSITORY / "node_modules" / ".bin" / "cdk"
    knobs = ("-c", "stage=prod", "-c", f"inference_ami={OLD_AMI}")
    command = [str(cdk), "synth", "--quiet", "--output", str(tmp_path), *knobs]
    yield subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.slow
def test_a_knob_that_leads_to_a_finding_stops_cdk(refused: subprocess.CompletedProcess[str]) -> None:
    assert refused.returncode != 0
    assert f"InferenceAmiVersion is {OLD_AMI}, whose driver can't run the CUDA 13" in refused.stderr
