import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers import Quiet, serving
from tests.wordsight.conftest import ROOT
from wordsight.api import Api, CommandError, connect
from wordsight.signing import signed_by_the_shell

REGION = "eu-central-1"
URL = f"https://abc123.execute-api.{REGION}.amazonaws.com/v1"


class Guard(Quiet):
    """Answers with the JSON `true` to whoever has signed what arrives, with the secret."""

    def _check(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        named = self.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: self.headers[name] for name in named}
        path, _, query = self.path.partition("?")
        url, asked = f"http://{self.headers['host']}{path}", dict(parse_qsl(query))  # which botocore spells as AWS does
        request = AWSRequest(self.command, url, data=body, headers=headers, params=asked)
        request.context["timestamp"] = self.headers["x-amz-date"]
        auth = SigV4Auth(Credentials("AKIA1", "secret"), "execute-api", REGION)
        signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        self.send_response(200 if self.headers["authorization"].endswith(f"Signature={signature}") else 403)
        self.end_headers()
        self.wfile.write(b"true")

    do_GET = do_POST = _check


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with serving(Guard) as port:
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A shell's, whose files of AWS are not there."""
    shell = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    shell |= {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    return shell


def test_what_is_signed_is_what_arrives(guarded: str, environ: dict[str, str]) -> None:
    api = connect(guarded, None, {**environ, "AWS_REGION": REGION})
    assert api.get("/annotations", dataset="my pets/2026 + ~more", limit=5) is True
    assert api.create("/models/base/promote", {"force": True}) is True
    assert api.create("/models/a%20b/promote") is True
    sign = api.sign or pytest.fail("it was given")

    def tampered(method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Mapping[str, str]:
        return sign(method, f"{url}?force=true", content, headers)

    with pytest.raises(CommandError, match="403"):
        Api(guarded, "", sign=tampered).create("/models/base/promote")


def test_the_region_is_that_of_the_address(environ: dict[str, str]) -> None:
    sign = signed_by_the_shell(URL, {**environ, "AWS_REGION": "us-east-1"})
    assert sign
    assert f"/{REGION}/execute-api/aws4_request" in sign("GET", f"{URL}/models", None, {})["Authorization"]


def test_who_has_a_key_or_no_credentials_or_no_region_signs_nothing(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connect(URL, "key", environ).sign is None
    assert signed_by_the_shell("https://vision.example/v1", environ) is None
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert connect(URL, None, environ).sign is None
    monkeypatch.setenv("AWS_PROFILE", "absent")
    assert connect(URL, None, environ).sign is None


def test_without_botocore_everything_else_works() -> None:
    hidden = "import sys; sys.modules['botocore'] = None; from wordsight.signing import signed_by_the_shell as s; "
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}print(s('{URL}', {{}}))"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout == b"None\n"
