"""What callers of the API see, whoever runs the model: each test is made of an endpoint and of a function in its place.

Those of a tier share one system, in their order.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.parse import quote

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from local import sample
from tests.e2e.bad_inputs import BAD_INPUTS, PNG
from tests.e2e.system import TIERS, System, labels, paste
from tests.hostile.requests import FAMILIES, json_bodies
from tests.hostile.traffic import Client, Seen, travels
from tests.local.conftest import ROOT
from tests.node import NODE

pytestmark = pytest.mark.slow

PNG_HEADERS = {"content-type": PNG}


@pytest.fixture(scope="module", params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_json_raw_bytes_and_form_give_identical_scores(system: System) -> None:
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
def test_a_drawing_from_elsewhere_is_understood(system: System, drawing: str) -> None:
    answer, others = DRAWINGS[drawing]
    words = list(dict.fromkeys([answer, *others.split(",")]))
    image = (Path(__file__).parent / f"drawings/{drawing}.png").read_bytes()
    scores, _ = system.post(f"classify?candidate_labels={quote(','.join(words))}", image, "image/png")
    assert (scores[0]["label"], scores[0]["score"] > 0.5) == (answer, True)


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_gets_a_sentence_and_the_next_request_works(system: System, name: str) -> None:
    bad = BAD_INPUTS[name]
    headers = {"content-type": bad.content_type, **bad.headers}
    status, problem = system.send(bad.method, bad.path, bad.body, headers)
    assert (status, problem["status"]) == (bad.status, bad.status), problem
    assert bad.words in problem["detail"] and problem["error"] == problem["detail"] and problem["instance"]
    status, scores = system.send(
        "POST", f"classify?candidate_labels={labels()}", sample.IMAGE.read_bytes(), PNG_HEADERS
    )
    assert (status, scores[0]["label"]) == (200, "fish")


def test_hugging_faces_client_works_and_its_exception_carries_our_sentence(system: System) -> None:
    client = InferenceClient(f"{system.url}/classify", headers={"x-api-key": system.api_key}, token=system.api_key)
    answer = client.zero_shot_image_classification(sample.IMAGE.read_bytes(), candidate_labels=list(sample.LABELS))
    assert [{"label": each.label, "score": each.score} for each in answer] == system.classify()[0]
    with pytest.raises(HfHubHTTPError, match="not an image"):
        client.zero_shot_image_classification(b"this is text", candidate_labels=list(sample.LABELS))


def test_a_loop_of_one_image_after_the_other_is_never_refused(system: System) -> None:
    client = InferenceClient(f"{system.url}/classify", token=system.api_key)
    image, words = sample.IMAGE.read_bytes(), list(sample.LABELS)
    best = [client.zero_shot_image_classification(image, candidate_labels=words)[0].label for _ in range(60)]
    assert best == ["fish"] * 60


def test_javascripts_clients_work_and_the_key_may_come_as_bearer(system: System) -> None:
    script = ROOT / "tests/lambdas/classify/clients.mjs"
    answers = json.loads(paste([NODE, str(script), system.url, system.api_key, str(sample.IMAGE)]))
    assert answers.pop("wrong_key") == 403
    assert {len(answer) for answer in answers.values()} == {2}
    del answers["fetch_page"]  # each label on its own
    assert all(answer == answers["huggingface"] for answer in answers.values())


PAGE_ELSEWHERE = {"origin": "http://localhost:5173", "sec-fetch-site": "same-site"}


def test_a_page_of_another_port_of_this_machine_may_ask_with_the_key(system: System) -> None:
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


def test_no_hostile_request_is_answered_otherwise_than_it_should(system: System) -> None:
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


EXAMPLES = {"endpoint": "10", "function": "2"}
"""Of each kind and route. Most of what they ask is answered by the same functions, whoever runs the model."""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    "negative_data_rejection",
)


def test_what_a_fuzzer_makes_of_the_description_is_answered_as_it_says(
    system: System, tier: str, tmp_path: Path
) -> None:
    fuzzing = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{system.url}/openapi.json", "--url", system.url),
        *("--header", f"x-api-key: {system.api_key}", "--checks", ",".join(CHECKS), "--phases", "examples,fuzzing"),
        *("--mode", "all", "--max-examples", EXAMPLES[tier], "--seed", "0", "--no-shrink", "--continue-on-failure"),
        *("--warnings", "off", "--exclude-path", "/endpoint/pause"),  # after it nothing else would be answered
    ]
    hooks = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "SCHEMATHESIS_HOOKS": "tests.e2e.fuzzing",
    }
    done = subprocess.run(fuzzing, cwd=tmp_path, env=hooks, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
