"""An API whose callers sign with IAM credentials, as in prod: who may, who may not, and nobody without a signature."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local import sample
from local.settings import REGION
from tests.e2e.system import System, deployed
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

PATH = f"classify?candidate_labels={quote(','.join(sample.LABELS), safe='')}"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("signed") / "local"
    with deployed(directory, "--context", "auth=iam") as system:
        yield system


def user(system: System, name: str, *statements: dict[str, Any], policy: str = "") -> Credentials:
    """Credentials of a new user who may do what the statements say, or the policy of one of the API's outputs."""
    iam = system.client("iam")
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=document)
    if policy:
        iam.attach_user_policy(UserName=name, PolicyArn=system.output(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def ask(system: System, credentials: Credentials | None, method: str = "POST", path: str = PATH) -> requests.Response:
    body = sample.IMAGE.read_bytes() if method == "POST" else b""
    request = AWSRequest(method, f"{system.url}/{path}", {"content-type": "image/png"}, body)
    if credentials:
        SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    return requests.request(method, request.url, headers=dict(request.headers), data=body, timeout=60)


def test_a_signed_request_is_answered_if_its_caller_may_invoke_the_api(system: System) -> None:
    caller = user(system, "caller", policy="InvokePolicyArn")
    answer = ask(system, caller)
    assert (answer.status_code, answer.json()[0]["label"]) == (200, "fish")
    assert ask(system, caller, "GET", "tasks").status_code == 200
    assert ask(system, caller, "GET", "tasks/absent").status_code == 404
    denied = ask(system, caller, "GET", "models")
    assert denied.status_code == 403
    assert "not authorized" in denied.text
    admin = user(system, "admin", policy="AdminPolicyArn")
    assert [ask(system, admin, "GET", path).status_code for path in ("models", "tasks", "trainings")] == [200] * 3


def test_without_a_policy_or_a_signature_there_is_a_403_that_says_why(system: System) -> None:
    stranger = ask(system, user(system, "stranger"))
    assert (stranger.status_code, "not authorized" in stranger.text) == (403, True)
    unsigned = ask(system, None)
    assert (unsigned.status_code, "not signed" in unsigned.json()["detail"]) == (403, True)
    forged = ask(system, Credentials("AKIAIOSFODNN7EXAMPLE", "secret"))
    assert forged.status_code == 403


def test_the_command_line_signs_with_the_shells_credentials(system: System) -> None:
    everything = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    caller = user(system, "shell", everything)
    shell = {"AWS_ACCESS_KEY_ID": caller.access_key, "AWS_SECRET_ACCESS_KEY": caller.secret_key, "AWS_REGION": REGION}
    asks = [
        sys.executable,
        "-m",
        "wordsight",
        "classify",
        str(sample.IMAGE),
        "--labels",
        "fish,tree",
        "--url",
        system.url,
    ]
    done = subprocess.run(asks, cwd=ROOT, env={**os.environ, **shell}, capture_output=True, text=True, check=False)
    assert (done.returncode, "fish" in done.stdout) == (0, True), done.stderr


def test_what_is_open_needs_no_signature(system: System) -> None:
    assert ask(system, None, "GET", "health").json()["status"] == "InService"
