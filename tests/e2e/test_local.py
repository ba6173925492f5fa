"""The whole system on one machine, through its commands: deployed, asked, updated, taught, broken, removed.

The tests of this module share one system and build on each other, in their order.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local import processes, sample
from local.permissions import Decision
from tests.e2e.bad_inputs import PNG
from tests.e2e.system import SERVING_STACK, System, paste, undeployed
from tests.local.conftest import ROOT
from tests.node import NODE
from tests.readme import DOCUMENTS, blocks, section

pytestmark = pytest.mark.slow

PNG_HEADERS = {"content-type": PNG}
EXECUTION_TIMEOUT_S = 240


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with undeployed(tmp_path_factory.mktemp("e2e") / "local") as system:
        yield system


@pytest.fixture(scope="module")
def printed(system: System) -> str:
    """What `python -m local up` printed."""
    up = system.run("up")
    assert up.returncode == 0, up.stdout + up.stderr
    return up.stdout


def test_up_shows_what_is_on_the_sample_and_leaves_the_address_for_scripts(system: System, printed: str) -> None:
    scores, headers = system.classify()
    assert scores[0]["label"] == "fish"
    assert sample.picture(scores) in printed
    assert headers["x-model-version"]
    assert f"{system.url}/" in printed
    assert not system.url.endswith("/")


@pytest.mark.skipif(shutil.which("curl") is None, reason="two of the examples are curl commands")
def test_the_printed_examples_work_when_pasted(system: System, printed: str) -> None:
    examples = re.split(r"\n\n", printed[printed.index("curl") :])[:3]
    answers = [
        subprocess.run(["bash", "-c", example], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for example in examples
    ]
    assert json.loads(answers[0]) == json.loads(answers[1]) == system.classify()[0]
    assert f"label='{system.classify()[0][0]['label']}'" in answers[2]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are curl commands")
def test_the_readmes_first_examples_work_when_pasted(system: System, printed: str) -> None:
    here = section("README.md", "## Classify").replace(".local/", f"{system.settings.directory}/")
    commands = [code for language, code in blocks(here) if language == "sh" and "$URL" in code]
    settings = commands[0].splitlines()[0]
    for command in commands:
        answer = json.loads(paste(["bash", "-c", f"set -e\n{settings}\n{command}"]))
        answers = answer.values() if isinstance(answer, dict) else [answer]
        assert [best["label"] for best, *_ in answers] in (["fish"], ["fish", "warm"])
    scripts = [code for language, code in blocks(here) if language == "python"]
    javascript = [code for language, code in blocks(here) if language == "js"]
    assert [language for text in DOCUMENTS.values() for language, _ in blocks(text)].count("js") == len(javascript)
    programs = [[sys.executable, "-c", script] for script in scripts]
    programs += [[NODE, "--input-type=module", "--eval", script] for script in javascript]
    assert len(programs) == 2
    for program in programs:
        best = paste(program).split("}")[0].split(")")[0]
        assert re.search(r"label'?[=:] ?'fish'", best), best


def test_status_is_healthy_and_logs_show_the_requests(system: System, printed: str) -> None:
    status = system.run("status")
    assert status.returncode == 0, status.stdout
    assert "wordsight-dev  InService" in status.stdout
    assert re.search(r"requests +\d+ requests, \d+ refused \(4xx\), \d+ failed \(5xx\)", status.stdout), status.stdout
    assert re.search(r"the model +[1-9]\d* invocations, \d+ faults", status.stdout), status.stdout
    assert "/aws/sagemaker/Endpoints/wordsight-dev" in system.run("logs").stdout


def test_status_tells_what_a_role_was_denied(system: System, printed: str) -> None:
    decisions = system.settings.decisions
    denied = Decision("WordsightApi-dev-Role", "s3:GetObject", "arn:aws:s3:::bucket/key", False, "s3")
    line = json.dumps(asdict(denied)) + "\n"
    with decisions.open("a") as file:
        file.write(line)
    status = system.run("status")
    decisions.write_text(decisions.read_text().replace(line, ""))
    assert (status.returncode, denied.sentence in status.stdout) == (1, True)
    assert system.run("status").returncode == 0


def test_a_second_up_deploys_what_changed_and_keeps_address_key_and_objects(system: System, printed: str) -> None:
    sagemaker, s3, bucket = system.client("sagemaker"), system.client("s3"), system.output("DataBucketName")
    s3.put_object(Bucket=bucket, Key="snapshots/kept.txt", Body=b"kept")
    address = system.url, system.api_key
    before = sagemaker.describe_endpoint(EndpointName="wordsight-dev")["EndpointConfigName"]
    again = system.run("up", "--context", "startup_timeout_s=400")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "The system is up" in again.stdout
    assert (system.url, system.api_key) == address
    assert s3.get_object(Bucket=bucket, Key="snapshots/kept.txt")["Body"].read() == b"kept"
    assert sagemaker.describe_endpoint(EndpointName="wordsight-dev")["EndpointConfigName"] != before


def test_a_checkpoint_that_is_not_there_is_refused_and_the_old_one_answers(system: System, printed: str) -> None:
    expected, _ = system.classify()
    bucket = system.output("ArtifactsBucketName")
    update = system.deploy_model(f"s3://{bucket}/models/nothing/")
    assert update.returncode == 1
    assert "Could not find model data" in update.stderr
    assert system.classify()[0] == expected


def test_a_broken_checkpoint_is_rolled_back_and_the_old_one_answers(system: System, printed: str) -> None:
    expected, _ = system.classify()
    bucket = system.output("ArtifactsBucketName")
    system.client("s3").put_object(Bucket=bucket, Key="models/broken/config.json", Body=b"this is no configuration")
    update = system.deploy_model(f"s3://{bucket}/models/broken/")
    assert update.returncode == 1
    stack = system.client("cloudformation").describe_stacks(StackName=SERVING_STACK)["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert system.classify()[0] == expected


def test_the_state_machine_trains_a_checkpoint_that_can_go_live(system: System, printed: str, tmp_path: Path) -> None:
    bucket = system.output("DataBucketName")
    upload_dataset(system.client("s3"), bucket, "snapshots/colours/", tmp_path)
    machine = system.client("stepfunctions")
    execution = machine.start_execution(
        stateMachineArn=system.output("StateMachineArn"),
        name="first",
        input=json.dumps(
            {
                "dataset_s3_uri": f"s3://{bucket}/snapshots/colours/",
                "hyperparameters": {
                    "steps": "2",
                    "batch_size": "4",
                    "selection_scenes": "100",
                    "evaluation_scenes": "100",
                },
            }
        ),
    )["executionArn"]
    deadline = time.monotonic() + EXECUTION_TIMEOUT_S
    while (state := machine.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the training did not end"
        time.sleep(0.5)
    assert state["status"] == "SUCCEEDED", state.get("cause")
    artifact = json.loads(state["output"])["artifact_s3_uri"]
    update = system.deploy_model(artifact)
    assert update.returncode == 0, update.stdout + update.stderr
    assert system.classify()[1]["x-model-version"] == "wordsight-dev-first"


def test_no_role_was_denied_anything_and_all_that_they_did_is_on_record(system: System, printed: str) -> None:
    system.check_permissions()


def test_destroy_leaves_no_process_port_file_bucket_or_stack(system: System, printed: str) -> None:
    destroy = system.run("destroy")
    assert destroy.returncode == 0, destroy.stdout + destroy.stderr
    assert processes.running(system.settings.directory) == []
    assert processes.port_is_free(system.settings.port)
    assert not system.settings.directory.exists()
    assert "nothing is left" in system.run("destroy").stdout
    assert system.run("status").returncode == 1


def upload_dataset(s3: Any, bucket: str, prefix: str, directory: Path) -> None:
    """Twenty images of one colour each, with a sentence about it."""
    lines = []
    for number in range(20):
        colour = ("red", "green", "blue", "yellow")[number % 4]
        path = directory / f"{number}.png"
        Image.new("RGB", (64, 64), colour).save(path)
        s3.upload_file(str(path), bucket, f"{prefix}images/{path.name}")
        lines.append(json.dumps({"image": f"images/{path.name}", "captions": [f"all {colour}", f"a {colour} picture"]}))
    s3.put_object(Bucket=bucket, Key=f"{prefix}manifest.jsonl", Body="\n".join(lines).encode())
