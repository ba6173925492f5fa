"""Who may come in to the emulator, by real requests and by a real browser."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.settings import LocalSettings
from tests.local.conftest import clients_of
from tests.local.emulated import deployed
from tests.servers import Quiet, serving

FRONT_END = "http://localhost:3000"
STRANGER = "https://example.com"

CHROMIUM = shutil.which("chromium")


class Reply(NamedTuple):
    status: int
    allowed_origin: str | None
    text: str


def ask(system: LocalSettings, path: str = "/", method: str = "GET", **headers: str) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        origin = response.getheader("access-control-allow-origin")
        return Reply(response.status, origin, response.read().decode())


@pytest.fixture(scope="module")
def api(system: LocalSettings) -> Iterator[str]:
    """The path of an API whose only method answers, and lets pages of FRONT_END ask."""
    with deployed(clients_of(system), "api", json.dumps(template())) as stacks:
        (stack,) = stacks.describe_stacks(StackName="api")["Stacks"]
        yield f"/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/v1/"


def template() -> dict[str, Any]:
    """As CDK makes it: a method, and an OPTIONS method that answers a preflight."""
    of_api = {"RestApiId": {"Ref": "Api"}, "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]}}

    def method(verb: str, headers: dict[str, str]) -> dict[str, Any]:
        parameters = {f"method.response.header.{name}": f"'{value}'" for name, value in headers.items()}
        answer = {"StatusCode": "200", "ResponseParameters": parameters}
        mock = {"Type": "MOCK", "RequestTemplates": {"application/json": '{"statusCode": 200}'}}
        properties = {
            **{**of_api, "HttpMethod": verb, "AuthorizationType": "NONE"},
            "Integration": {**mock, "IntegrationResponses": [answer]},
            "MethodResponses": [{"StatusCode": "200", "ResponseParameters": dict.fromkeys(parameters, True)}],
        }
        return {"Type": "AWS::ApiGateway::Method", "Properties": properties}

    cors = {"Access-Control-Allow-Origin": FRONT_END, "Access-Control-Allow-Methods": "GET,POST"}
    return {
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "api"}},
            "Get": method("GET", {}),
            "Post": method("POST", {}),
            "Options": method("OPTIONS", cors),
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": ["Get", "Post", "Options"],
                "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "v1"},
            },
        },
        "Outputs": {"ApiId": {"Value": {"Ref": "Api"}}},
    }


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "bucket.localhost:4566", "[::1]:4566"])
def test_a_program_comes_in_under_any_name_of_this_machine(system: LocalSettings, host: str) -> None:
    assert ask(system, "/_ministack/health", Host=host).status == 200


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com:4566", "localhost.example.com", "[::1", ""])
def test_a_name_that_somebody_else_gives_this_address_is_refused(system: LocalSettings, host: str) -> None:
    refused = ask(system, "/_ministack/health", Host=host)
    assert refused.status == 403
    assert "local mode answers to 127.0.0.1, localhost" in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGER},
        {"Origin": "null"},
        {"Origin": FRONT_END},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ],
)
@pytest.mark.parametrize("path", ["/?Action=ListStacks", "/2015-03-31/functions", "/"])
def test_a_page_of_another_origin_reaches_no_service(system: LocalSettings, headers: dict[str, str], path: str) -> None:
    sent = {name: value.format(port=system.port) for name, value in headers.items()}
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        refused = ask(system, path, method, **sent)
        assert refused.status == 403
        assert refused.allowed_origin is None
        assert "a page of" in refused.text


def test_its_own_page_and_somebody_who_types_its_address_come_in(system: LocalSettings, api: str) -> None:
    own = {"Host": f"localhost:{system.port}", "Origin": f"http://localhost:{system.port}"}
    assert ask(system, api, "POST", **own, Sec_Fetch_Site="same-origin").status == 200
    assert ask(system, api, Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate").status == 200


def test_a_link_on_any_page_leads_to_the_apis_page(system: LocalSettings, api: str) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(system, api, **link).status == 200
    assert ask(system, api, **{**link, "Sec_Fetch_Dest": "iframe"}).status == 403
    reset = {**link, "Host": f"{api.split('/')[3]}.execute-api.localhost:{system.port}"}
    assert ask(system, "/_ministack/reset", **reset).status == 403
    assert ask(system, api, "POST", **link).status == 403


def test_a_page_gets_as_far_as_the_cors_of_the_api_lets_it(system: LocalSettings, api: str) -> None:
    preflight = ask(system, api, "OPTIONS", Origin=FRONT_END, Access_Control_Request_Method="POST")
    assert preflight.allowed_origin == FRONT_END
    assert ask(system, api, "POST", Origin=FRONT_END, Sec_Fetch_Site="same-site").status == 200
    assert ask(system, api, "POST", Origin=STRANGER, Sec_Fetch_Site="cross-site").status == 403


def test_a_page_gets_as_far_as_the_cors_of_a_bucket_lets_it(system: LocalSettings, aws: Any) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="uploads")
    rule = {"AllowedOrigins": [FRONT_END], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket="uploads", Key="cat", Body=b"cat")
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": "uploads", "Key": "cat"})
    path = signed.removeprefix(system.endpoint_url)
    assert ask(system, path, Origin=FRONT_END)[1:] == (FRONT_END, "cat")
    assert ask(system, path, Origin=STRANGER).status == 403
    assert "a page of" in ask(system, path, "DELETE", Origin=FRONT_END).text


def test_a_bucket_that_lets_a_page_in_is_no_way_to_another_service(system: LocalSettings, aws: Any) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="open")
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "POST", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket="open", CORSConfiguration={"CORSRules": [rule]})
    for page in (FRONT_END, "https://127.0.0.1:8443"):
        assert "a page of" not in ask(system, "/open/key", Origin=page).text
    scope = (
        "AWS4-HMAC-SHA256 Credential=000000000000/20261128/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
    )
    for headers in (
        {"Authorization": scope.format("cloudformation")},
        {"Authorization": scope.format("lambda")},
        {"X_Amz_Target": "SageMaker.CreateTrainingJob"},
        {"X_Amz_Target": "DynamoDB_20120810.ListTables"},
        {"Content_Type": "application/x-www-form-urlencoded"},
    ):
        refused = ask(system, "/open/key", "POST", Origin=FRONT_END, **headers)
        assert (refused.status, "a page of" in refused.text) == (403, True), headers
    assert "a page of" in ask(system, "/open?Action=ListStacks&Version=2010-05-15", "POST", Origin=FRONT_END).text


@pytest.mark.parametrize("origin", [STRANGER, "null", "https://localhost.example.com", "http://[::1"])
def test_everybodys_pages_are_those_of_this_machine(system: LocalSettings, aws: Any, origin: str) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="everybodys")
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket="everybodys", CORSConfiguration={"CORSRules": [rule]})
    assert "a page of" in ask(system, "/everybodys/key", Origin=origin).text


PAGE = """<!doctype html><title>harmless</title><pre id="out">…</pre><script>
const emulator = "%(emulator)s", signed = "%(signed)s";
const attempts = {
  "make a function": () => fetch(emulator + "/2015-03-31/functions", {method: "POST", body: "{}", mode: "no-cors"}),
  "read stacks": async () => (await fetch(emulator + "/?Action=ListStacks")).text(),
  "read objects": async () => (await fetch(emulator + "/secrets/key")).text(),
  "send a header": async () => (await fetch(emulator + "/", {headers: {"x-amz-target": "SageMaker.X"}})).text(),
  "delete a stack": () => new Promise((resolve, reject) => {
    const image = new Image(); image.onload = resolve; image.onerror = reject; image.src = signed;
  }),
};
(async () => {
  const told = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try { const got = await attempt(); told[name] = got.type === "opaque" ? "unseen" : "got " + got; }
    catch (error) { told[name] = "failed"; }
  }
  document.title = "done";
  document.getElementById("out").textContent = JSON.stringify(told);
})();
</script>"""


def showing(page: str) -> type[Quiet]:
    """A web site of this one page."""

    class Site(Quiet):
        def do_GET(self) -> None:
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Site


def browsed(url: str, profile: Path) -> str:
    """The document as headless Chromium has it once its scripts have run."""
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"),
        *("--virtual-time-budget=20000", "--dump-dom"),
    )
    command = [str(CHROMIUM), *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(not CHROMIUM and not os.environ.get("STRICT"), reason="no Chromium here: apt-get install chromium")
def test_a_browser_on_a_page_of_another_site_gets_nothing_and_changes_nothing(
    system: LocalSettings, aws: Any, tmp_path: Path
) -> None:
    """The page knows the credentials of local mode, as everybody does, and signs with them."""
    aws("s3").create_bucket(Bucket="secrets")
    aws("s3").put_object(Bucket="secrets", Key="key", Body=b"the key")
    only_a_bucket = json.dumps({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    with deployed(aws, "victim", only_a_bucket) as stacks:
        signed = stacks.generate_presigned_url("delete_stack", Params={"StackName": "victim"}, HttpMethod="GET")
        with serving(showing(PAGE % {"emulator": system.endpoint_url, "signed": signed})) as port:
            document = browsed(f"http://localhost:{port}/", tmp_path / "profile")
        told = json.loads(document.split('<pre id="out">')[1].split("</pre>")[0])
        assert told.pop("make a function") in ("unseen", "failed")
        assert set(told.values()) == {"failed"}, told
        assert stacks.describe_stacks(StackName="victim")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
