import ast
import gc
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.limits import CONTAINER_TIMEOUT_S, LAMBDA_TIMEOUT_S, SDK_READ_TIMEOUT_S
from contract.routes import ROUTES
from lambdas.aws.clients import CONCURRENT_CALLS, MODEL_FUNCTION, concurrently, connect, connect_worker
from lambdas.aws.executions import STEP_MS
from tests.contract.test_limits import longest_call_s

LAMBDAS = Path(__file__).parents[3] / "lambdas"


@pytest.mark.parametrize("service", ["sagemaker-runtime", "sagemaker", "s3", "cloudformation", "stepfunctions"])
def test_a_client_behind_the_api_gives_up_before_the_function_does(service: str):
    config = connect(service).meta.config
    assert longest_call_s(config.retries["total_max_attempts"], config.read_timeout) < LAMBDA_TIMEOUT_S
    assert config.tcp_keepalive


@pytest.mark.parametrize("connecting", [connect, connect_worker])
@pytest.mark.parametrize("service", ["sagemaker-runtime", MODEL_FUNCTION])
def test_the_model_is_given_its_whole_time_and_asked_once(connecting: Any, service: str):
    config = connecting(service).meta.config
    assert config.read_timeout == SDK_READ_TIMEOUT_S > CONTAINER_TIMEOUT_S
    assert config.retries["total_max_attempts"] == 1


def test_another_function_is_called_as_any_service():
    assert connect("lambda").meta.service_model.service_name == "lambda"
    assert connect("lambda").meta.config.read_timeout < connect(MODEL_FUNCTION).meta.config.read_timeout


def test_garbage_is_looked_for_as_usual_once_there_is_a_client():
    usual = gc.get_threshold()
    gc.set_threshold(150_000)  # as a function starts
    try:
        connect.cache_clear()
        connect("s3")
        assert gc.get_threshold() == usual
    finally:
        gc.set_threshold(*usual)


def test_a_worker_waits_longer_than_a_function_behind_the_api():
    for service in ("s3", "cloudformation"):
        worker, behind_the_api = connect_worker(service).meta.config, connect(service).meta.config
        assert 20 <= worker.read_timeout <= 60 and worker.read_timeout > behind_the_api.read_timeout
        for config in (worker, behind_the_api):
            assert config.retries["mode"] == "standard" and 3 <= config.retries["total_max_attempts"] <= 5


def test_a_workers_step_leaves_time_for_a_service_that_never_answers():
    config = connect_worker("s3").meta.config
    assert 1000 * longest_call_s(config.retries["total_max_attempts"], config.read_timeout) < STEP_MS


def test_whoever_answers_routes_is_no_worker_and_every_other_function_is():
    behind_the_api = {route.function for route in ROUTES}
    connecting = {main.parent.name: imported_from_clients(main) for main in LAMBDAS.glob("*/main.py")}
    assert behind_the_api < connecting.keys()
    assert connecting.pop("authorize") == set()  # it asks no service
    for function, names in connecting.items():
        assert names == {"connect" if function in behind_the_api else "connect_worker"}, function


def imported_from_clients(main: Path) -> set[str]:
    """Which of the two ways to connect a function takes."""
    nodes = [node for node in ast.walk(ast.parse(main.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {each.name for node in nodes if node.module == "lambdas.aws.clients" for each in node.names}
    return names & {"connect", "connect_worker"}


class Busy(ThreadingHTTPServer):
    """A service that is too busy for the first `refusals` requests, and answers "done" to the others."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals, self.requests = 1, 0


class Answer(BaseHTTPRequestHandler):
    server: Busy

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests += 1
        refused = self.server.requests <= self.server.refusals
        body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        self.send_response(503 if refused else 200)
        self.send_header("content-length", str(len(body if refused else b"done")))
        self.end_headers()
        self.wfile.write(body if refused else b"done")

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    with Busy() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for service in ("S3", "SAGEMAKER_RUNTIME"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server
        server.shutdown()


@pytest.mark.parametrize("connecting", [connect, connect_worker])
def test_a_bucket_that_asks_to_slow_down_is_asked_again(busy: Busy, connecting: Any):
    found = connecting.__wrapped__("s3").get_object(Bucket="a-bucket", Key="images/1")
    assert found["Body"].read() == b"done"
    assert busy.requests == 2


@pytest.mark.parametrize("connecting", [connect, connect_worker])
def test_a_busy_endpoint_is_not_asked_again(busy: Busy, connecting: Any):
    with pytest.raises(ClientError, match="503"):
        connecting.__wrapped__("sagemaker-runtime").invoke_endpoint(EndpointName="one", Body=b"")
    assert busy.requests == 1


def test_a_client_is_made_once():
    assert connect("s3") is connect("s3")
    assert connect_worker("s3") is connect_worker("s3") is not connect("s3")


@pytest.mark.parametrize("region, host", [("us-east-1", "s3"), ("eu-central-1", "s3.eu-central-1")])
def test_a_signed_form_is_taken_by_every_region_and_leads_to_the_buckets_own(
    monkeypatch: pytest.MonkeyPatch, region: str, host: str
):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    form = connect.__wrapped__("s3").generate_presigned_post("a-bucket", "uploads/1")
    assert form["url"] == f"https://a-bucket.{host}.amazonaws.com/"
    assert form["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


def test_results_come_in_order_and_no_more_are_begun_than_may_be_in_memory():
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return -number

    results = concurrently(work, range(3 * CONCURRENT_CALLS))
    assert next(results) == 0
    assert len(begun) <= CONCURRENT_CALLS
    assert [*results] == [-number for number in range(1, 3 * CONCURRENT_CALLS)]
    assert [*concurrently(work, [])] == []


def test_what_one_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(concurrently(lambda number: 1 // number, [1, 0, 2]))
