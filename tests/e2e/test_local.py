"""The whole system on one machine, through its commands: deployed, asked, updated, taught, broken, removed.

The tests of this module share one system and build on each other, in their order.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from local import processes, sample
from local.permissions import Decision
from tests.e2e.bad_inputs import BAD_INPUTS, PNG
from tests.e2e.system import SERVING_STACK, System, labels, undeployed
from tests.hostile.requests import FAMILIES, json_bodies
from tests.hostile.traffic import Client, Seen, travels
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


def test_json_raw_bytes_and_form_give_identical_scores(system: System, printed: str) -> None:
    image = sample.IMAGE.read_bytes()
    body = {"inputs": base64.b64encode(image).decode(), "parameters": {"candidate_labels": list(sample.LABELS)}}
    as_json, _ = system.post("classify", json.dumps(body).encode(), "application/json")
    form = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="sample.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + image + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="candidate_labels"\r\n\r\n'
        + ",".join(sample.LABELS).encode()
        + b"\r\n--x--\r\n"
    )
    as_form, _ = system.post("classify", form, "multipart/form-data; boundary=x")
    assert as_json == as_form == system.classify()[0]
    assert sum(score["score"] for score in as_json) == pytest.approx(1)


THINGS = "house,tree,fish,car,cup,sun,face"
DRAWINGS = {
    "red-circle": ("a red circle", "a blue circle,a red square,a green star"),
    "yellow-star": ("a yellow star", "a red star,a yellow heart,a blue square"),
    "two-green-triangles": ("two green triangles", "a green triangle,three green triangles,two green circles"),
    "three-orange-squares": ("three squares", "one square,two squares,four squares,five squares"),
    **{drawing: (drawing.split("-")[-1], THINGS) for drawing in ("house", "tree", "blue-car", "cup", "sun")},
}
"""Vector drawings by hand, rendered by a browser: nothing of them comes from the world the checkpoint learnt from."""


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_drawing_from_elsewhere_is_understood(system: System, printed: str, drawing: str) -> None:
    answer, others = DRAWINGS[drawing]
    words = list(dict.fromkeys([answer, *others.split(",")]))
    image = (Path(__file__).parent / f"drawings/{drawing}.png").read_bytes()
    scores, _ = system.post(f"classify?candidate_labels={quote(','.join(words))}", image, "image/png")
    assert (scores[0]["label"], scores[0]["score"] > 0.5) == (answer, True)


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_gets_a_sentence_and_the_next_request_works(system: System, printed: str, name: str) -> None:
    bad = BAD_INPUTS[name]
    headers = {"content-type": bad.content_type, **bad.headers}
    status, problem = system.send(bad.method, bad.path, bad.body, headers)
    assert (status, problem["status"]) == (bad.status, bad.status), problem
    assert bad.words in problem["detail"] and problem["error"] == problem["detail"] and problem["instance"]
    status, scores = system.send(
        "POST", f"classify?candidate_labels={labels()}", sample.IMAGE.read_bytes(), PNG_HEADERS
    )
    assert (status, scores[0]["label"]) == (200, "fish")


def test_hugging_faces_client_works_and_its_exception_carries_our_sentence(system: System, printed: str) -> None:
    client = InferenceClient(f"{system.url}/classify", headers={"x-api-key": system.api_key}, token=system.api_key)
    answer = client.zero_shot_image_classification(sample.IMAGE.read_bytes(), candidate_labels=list(sample.LABELS))
    assert [{"label": each.label, "score": each.score} for each in answer] == system.classify()[0]
    with pytest.raises(HfHubHTTPError, match="not an image"):
        client.zero_shot_image_classification(b"this is text", candidate_labels=list(sample.LABELS))


def test_a_loop_of_one_image_after_the_other_is_never_refused(system: System, printed: str) -> None:
    client = InferenceClient(f"{system.url}/classify", token=system.api_key)
    image, words = sample.IMAGE.read_bytes(), list(sample.LABELS)
    best = [client.zero_shot_image_classification(image, candidate_labels=words)[0].label for _ in range(60)]
    assert best == ["fish"] * 60


def test_javascripts_clients_work_and_the_key_may_come_as_bearer(system: System, printed: str) -> None:
    script = ROOT / "tests/lambdas/classify/clients.mjs"
    answers = json.loads(paste([NODE, str(script), system.url, system.api_key, str(sample.IMAGE)]))
    assert answers.pop("wrong_key") == 403
    assert {len(answer) for answer in answers.values()} == {2}
    del answers["fetch_page"]  # each label on its own
    assert all(answer == answers["huggingface"] for answer in answers.values())


PAGE_ELSEWHERE = {"origin": "http://localhost:5173", "sec-fetch-site": "same-site"}


def test_a_page_of_another_port_of_this_machine_may_ask_with_the_key(system: System, printed: str) -> None:
    asked = ("content-type", "x-api-key", "authorization")
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": ",".join(asked)}
    status, headers = answered(system, "OPTIONS", b"", {**PAGE_ELSEWHERE, **preflight})
    assert (status, headers["access-control-allow-origin"]) == (204, "*")
    assert set(asked) <= set(headers["access-control-allow-headers"].split(","))
    assert "POST" in headers["access-control-allow-methods"]
    image = sample.IMAGE.read_bytes()
    for key, expected in ((system.api_key, 200), ("another", 403)):
        sent = {**PAGE_ELSEWHERE, **PNG_HEADERS, "authorization": f"Bearer {key}"}
        status, headers = answered(system, "POST", image, sent)
        assert (status, headers["access-control-allow-origin"]) == (expected, "*")
        assert "x-request-id" in headers["access-control-expose-headers"]
    stranger = {**PNG_HEADERS, "origin": "https://example.com", "x-api-key": system.api_key}
    assert answered(system, "POST", image, stranger)[0] == 403


def answered(system: System, method: str, body: bytes, headers: dict[str, str]) -> tuple[int, Message]:
    """The status and the headers of an answer of POST /classify, or of its preflight."""
    url = f"{system.url}/classify?candidate_labels={labels()}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body or None, headers, method=method)) as response:
            return response.status, response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


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


def paste(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


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


def test_no_hostile_request_is_answered_otherwise_than_it_should(system: System, printed: str) -> None:
    seen = Seen()
    client = Client(system.url, system.api_key, seen)
    # what is no JSON is no JSON for a function alone, too
    families = [family for family in FAMILIES if family is not json_bodies]
    hostile = {name: sent for family in families for name, sent in family() if travels(sent)}
    answers = {name: (sent, client.deliver(sent)) for name, sent in hostile.items()}
    wrong = {name: answer for name, (sent, answer) in answers.items() if answer.status not in sent.statuses | {413}}
    assert not wrong, "\n".join(f"{name}: {each.status} {each.body[:200]!r}" for name, each in wrong.items())
    assert not seen.undocumented, "\n".join(seen.undocumented)
    assert system.classify()[0][0]["label"] == "fish"


CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    "negative_data_rejection",
)


def test_what_a_fuzzer_makes_of_the_description_is_answered_as_it_says(
    system: System, printed: str, tmp_path: Path
) -> None:
    fuzzing = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{system.url}/openapi.json", "--url", system.url),
        *("--header", f"x-api-key: {system.api_key}", "--checks", ",".join(CHECKS), "--phases", "examples,fuzzing"),
        *("--mode", "all", "--max-examples", "10", "--seed", "0", "--no-shrink", "--continue-on-failure"),
        *("--warnings", "off", "--exclude-path", "/endpoint/pause"),  # after it nothing else would be answered
    ]
    hooks = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "SCHEMATHESIS_HOOKS": "tests.e2e.fuzzing",
    }
    done = subprocess.run(fuzzing, cwd=tmp_path, env=hooks, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())


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
