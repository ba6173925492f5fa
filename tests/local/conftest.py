"""A cloud assembly with one image whose program is small, real and fast, and the settings of a system of its own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import processes
from local.containers import Images
from local.processes import free_port
from local.settings import REGION, LocalSettings, client_environment

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/container-assets:0123abc"

PROGRAM = """
import json, os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib import request

base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "process=" + str(os.getpid()))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if body == "die":
            os._exit(3)
        if body == "refuse":
            return self.answer(422, b"not an image")
        if body == "slow":
            (base / "asked").touch()
            time.sleep(1)
        seen = {"environment": dict(os.environ), "headers": {k.lower(): v for k, v in self.headers.items()},
                "model": sorted(path.name for path in (base / "model").iterdir())}
        self.answer(200, json.dumps(seen).encode())


def serve():
    if "LOG_AND_REFUSE" in os.environ:
        for level, message in (("CRITICAL", "no such weights"), ("INFO", "shutting down")):
            print(json.dumps({"level": level, "message": message}))
        sys.exit(1)
    if "REFUSE_TO_START" in os.environ:
        sys.exit("this container refuses to start")
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()


def train():
    hyperparameters = json.loads((base / "input/config/hyperparameters.json").read_text())
    (base / "pid").write_text(str(os.getpid()))
    checkpoint = base / "checkpoints" / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    train = base / "input/data/train"
    images = sorted(path.relative_to(train).as_posix() for path in train.rglob("*") if path.is_file())
    (base / "model" / "result.json").write_text(json.dumps({"step": step + 1, "images": images}))
    checkpoint.write_text(str(step + 1))
    print("step=" + str(step + 1), flush=True)
    if "fail" in hyperparameters:
        (base / "output").mkdir(exist_ok=True)
        (base / "output/failure").write_text("the data is no good")
        sys.exit(1)
    if step == 0:
        time.sleep(float(hyperparameters.get("seconds", 0)))


def function():
    if "REFUSE_TO_START" in os.environ:
        post("init/error", {"errorType": "NoModel", "errorMessage": "this container refuses to start"})
        sys.exit(1)
    while True:
        with request.urlopen(runtime + "invocation/next") as asked:
            number, event = asked.headers["Lambda-Runtime-Aws-Request-Id"], json.load(asked)
        if event == "die":
            os._exit(3)
        if event == "slow":
            time.sleep(60)
        seen = {"asked": event, "pid": os.getpid(), "environment": dict(os.environ)}
        post("invocation/" + number + "/response", seen)


runtime = "http://" + os.environ.get("AWS_LAMBDA_RUNTIME_API", "") + "/2018-06-01/runtime/"


def post(path, answer):
    request.urlopen(request.Request(runtime + path, json.dumps(answer).encode(), method="POST"))


{"serve": serve, "train": train, "function": function}[sys.argv[1]]()
"""

DOCKERFILE = """
FROM python:3.12-slim
ENV GREETING="hello there" \\
    BASE_MODEL_DIR=/opt/base
ENTRYPOINT ["python", "program.py"]
"""


@pytest.fixture
def cloud_assembly(tmp_path: Path) -> Path:
    """What `cdk synth` would have staged for an app with that one image."""
    assembly = tmp_path / "cdk.out"
    context = assembly / "asset.0123abc"
    context.mkdir(parents=True)
    (context / "program.py").write_text(PROGRAM)
    (context / "Dockerfile").write_text(DOCKERFILE)
    source = {"directory": "asset.0123abc", "dockerFile": "Dockerfile"}
    (assembly / "Stack.assets.json").write_text(json.dumps({"dockerImages": {"0123abc": {"source": source}}}))
    return assembly


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="bucket")
        yield client


class Generous:
    """Roles that may do everything; it is written down what they were asked for."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.implied: list[tuple[str, str, dict[str, str]]] = []

    def imply(self, moment: str, role_arn: str, **known: str) -> None:
        self.implied.append((moment, role_arn, known))

    def credentials(self, role_arn: str) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": f"of {role_arn}"}

    def s3(self, role_arn: str) -> Any:
        return self._s3

    def role_of_change(self, stack: str) -> str:
        return ""


@pytest.fixture
def permissions(s3: Any) -> Generous:
    return Generous(s3)


@pytest.fixture
def log_lines() -> list[str]:
    """What the containers logged, each line as `group stream: line`."""
    return []


@pytest.fixture
def images(cloud_assembly: Path, tmp_path: Path, log_lines: list[str]) -> Images:
    def sink(group: str, stream: str, lines: list[str]) -> None:
        log_lines.extend(f"{group} {stream}: {line}" for line in lines)

    return Images(cloud_assembly, tmp_path / "shipped", tmp_path / "bases.json", tmp_path / "logs", sink)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[LocalSettings]:
    """A local system in a folder and on a port of its own; whatever it starts ends with the test."""
    yield LocalSettings(repository=ROOT, directory=tmp_path / "local", port=free_port())
    processes.stop(tmp_path / "local")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSettings]:
    """An emulator that runs, shared by the tests that deploy on it. Each removes what it has made.

    Its role `any` is none of the app's, and so may do everything.
    """
    settings = LocalSettings(ROOT, tmp_path_factory.mktemp("emulator") / "local", free_port())
    with processes.exclusive(settings):
        process = processes.start(settings)
    services = [f"{service}.amazonaws.com" for service in ("lambda", "states", "sagemaker", "scheduler")]
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]}
    clients_of(settings)("iam").create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))
    yield settings
    processes.remove(settings)
    process.wait()


@pytest.fixture
def aws(system: LocalSettings, cloud_assembly: Path) -> Any:
    """Makes boto3 clients of the emulator, whose cloud assembly is the one with the small image."""
    shutil.copytree(cloud_assembly, system.cloud_assembly, dirs_exist_ok=True)
    return clients_of(system)


def clients_of(system: LocalSettings) -> Any:
    """Makes boto3 clients of an emulator, from the name of a service."""
    environment = client_environment(system, {})
    session = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=environment["AWS_REGION"]
    )
    return lambda service, **more: session.client(service, endpoint_url=system.endpoint_url, **more)
