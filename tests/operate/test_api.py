from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from operate.api import address, open_api, signed
from operate.stage import OperatorError, Stage
from stacks.config import StageConfig
from tests.operate.accounts import GOOD, REGION, Account
from tests.servers import Quiet, serving
from wordsight.api import Api, CommandError

AWS = "https://apigateway.eu-central-1.amazonaws.com"
OUTPUT = "https://abc123.execute-api.eu-central-1.amazonaws.com/v1"

IN_CHINA = "https://abc123.execute-api.cn-north-1.amazonaws.com.cn/v1"


@pytest.mark.parametrize(
    ("output", "endpoint", "reached"),
    [
        (OUTPUT, AWS, OUTPUT),
        (OUTPUT, "https://vpce-1.apigateway.eu-central-1.vpce.amazonaws.com", OUTPUT),
        (f"{IN_CHINA}/", "https://apigateway.cn-north-1.amazonaws.com.cn", IN_CHINA),
        (OUTPUT, "http://127.0.0.1:4566", "http://127.0.0.1:4566/_aws/execute-api/abc123/v1"),
        ("https://vision.example/v1", AWS, "https://vision.example/v1"),
    ],
)
def test_an_api_is_where_its_output_says_or_where_its_emulator_is(output: str, endpoint: str, reached: str) -> None:
    assert address(output, endpoint) == reached


def stage(**outputs: str) -> Stage:
    described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stack = {"StackName": "WordsightApi-dev", "CreationTime": "2026-01-01", "StackStatus": "CREATE_COMPLETE"}
    answers = {
        "cloudformation.DescribeStacks": {"Stacks": [{**stack, "Outputs": described}]},
        "apigateway.GetApiKey": lambda asked: {"id": asked["apiKey"], "value": f"value of {asked['apiKey']}"},
    }
    return Stage(StageConfig(stage="dev"), Account(answers).connect)


def test_a_stage_with_a_key_is_called_with_it() -> None:
    api = open_api(stage(ApiUrl=OUTPUT, ApiKeyId="key1"))
    assert (api.url, api.key, api.sign) == (OUTPUT, "value of key1", None)


def test_a_stage_without_a_key_is_called_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    sign = open_api(stage(ApiUrl=OUTPUT)).sign
    assert sign
    authorization = sign("GET", f"{OUTPUT}/models", None, {})["Authorization"]
    assert f"/{REGION}/execute-api/aws4_request" in authorization and "Credential=AKIA1/" in authorization


def test_a_stage_that_is_not_deployed_says_so() -> None:
    with pytest.raises(OperatorError, match="WordsightApi-dev is not deployed here: make deploy STAGE=dev"):
        open_api(Stage(StageConfig(stage="dev"), Account(GOOD).connect))


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


def test_what_is_signed_is_what_arrives(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    api = Api(guarded, "", sign=signed(REGION))
    assert api.get("/annotations", dataset="my pets/2026 + ~more", limit=5) is True
    assert api.create("/models/base/promote", {"force": True}) is True
    assert api.create("/models/a%20b/promote") is True
    sign = api.sign or pytest.fail("it was given")

    def tampered(method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Mapping[str, str]:
        return sign(method, f"{url}?force=true", content, headers)

    with pytest.raises(CommandError, match="403"):
        Api(guarded, "", sign=tampered).create("/models/base/promote")
