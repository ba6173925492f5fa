"""Clients that others' generators make of the API's description, against the API, over HTTP."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from contract.requests import ClassifyRequest
from lambdas.classify import openapi
from tests.lambdas.classify.test_main import JPEG
from tests.lambdas.gateway import Resolve, served
from tests.lambdas.sagemaker import SageMaker
from tests.node import MODULES, NODE

KEY = "9aa41cdcfb0f40d28c4ba3308d311a47"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the package `wordsight_client` that openapi-python-client makes."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(openapi.document()))
    (folder / "config.yml").write_text("post_hooks: []\n")
    files = ("--path", folder / "openapi.json", "--config", folder / "config.yml")
    made = ("--meta", "none", "--output-path", folder / "wordsight_client")
    command = [sys.executable, "-m", "openapi_python_client", "generate", *files, *made]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    # It knows no image/*, and sends images as application/octet-stream.
    warnings = [line for line in told.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == told.count("Unsupported content type image/*") == 3, told
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def client(generated: Path, resolve: Resolve) -> Iterator[Any]:
    with served(resolve, KEY) as url:
        yield import_module("wordsight_client").AuthenticatedClient(base_url=url, token=KEY)


def file() -> Any:
    return import_module("wordsight_client.types").File(payload=io.BytesIO(JPEG))


def classify(client: Any, **arguments: Any) -> Any:
    return import_module("wordsight_client.api.classify.classify").sync(client=client, **arguments)


def labels(answer: Any) -> set[str]:
    return {each.label for each in answer}


def test_a_generated_python_client_classifies_by_every_body(client: Any, sagemaker: SageMaker) -> None:
    models = import_module("wordsight_client.models")
    parameters = models.Parameters(candidate_labels=["cat", "dog"])
    encoded = "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    for inputs in (encoded, [encoded], models.InlineImage(image=encoded)):
        answer = classify(client, body=models.ClassifyBody(inputs=inputs, parameters=parameters))
        assert labels(answer[0] if isinstance(inputs, list) else answer) == {"cat", "dog"}
    form = models.ClassifyFilesBody(image=[file()], candidate_labels=["cat", "dog"], multi_label=True)
    assert labels(classify(client, body=form)) == {"cat", "dog"}
    assert labels(classify(client, body=file(), candidate_labels=["cat", "dog"], top_k=1)) < {"cat", "dog"}
    for request in sagemaker.requests:
        assert isinstance(request, ClassifyRequest) and request.images == [JPEG]
    assert len(sagemaker.requests) == 5


def test_a_generated_python_client_sends_nothing_that_its_caller_did_not_say(client: Any) -> None:
    models = import_module("wordsight_client.models")
    assert models.Parameters(task="weather").to_dict() == {"task": "weather"}
    assert models.TrainingBody().to_dict() == {}


def test_a_generated_python_client_reads_problems(client: Any) -> None:
    models = import_module("wordsight_client.models")
    body = models.ClassifyBody(inputs="", parameters=models.Parameters(candidate_labels=["cat", "dog"]))
    problem = classify(client, body=body)
    assert isinstance(problem, models.Problem) and "the image is empty" in problem.detail


@pytest.mark.slow
def test_a_generated_typescript_client_has_our_types_and_classifies(
    resolve: Resolve, sagemaker: SageMaker, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(openapi.document()))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(MODULES)
    script = tmp_path / "generated.ts"
    script.write_text(Path(__file__).with_name(script.name).read_text())

    def node(program: Path, *arguments: object) -> str:
        command = [NODE, program, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    node(MODULES / "openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.d.ts")
    strict = ("--strict", "--noEmit", "--skipLibCheck")
    modern = ("--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "esnext,dom")
    node(MODULES / "typescript/bin/tsc", *strict, *modern, script.name)
    with served(resolve, KEY) as url:
        answers = json.loads(node(script, url, KEY, base64.b64encode(JPEG).decode()))
    assert {each["label"] for each in answers["json"]} == {"cat", "dog"}
    assert len(answers["raw"]) == 1 and len(answers["form"]) == 2
    assert "the image is empty" in answers["refused"] and answers["health"] == "InService"
    assert [request.images for request in sagemaker.requests if request.images] == [[JPEG]] * 3
