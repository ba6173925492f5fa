"""Hugging Face's JavaScript client, axios and fetch against the API, over HTTP, each as it is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from contract.requests import ClassifyRequest
from tests.lambdas.classify.test_main import JPEG
from tests.lambdas.gateway import Resolve, served
from tests.lambdas.sagemaker import SageMaker
from tests.node import NODE

KEY = "9aa41cdcfb0f40d28c4ba3308d311a47"
LABELS = ["a cat, or a kitten", "dog"]


@pytest.fixture
def answers(resolve: Resolve, sagemaker: SageMaker, tmp_path: Path) -> dict[str, Any]:
    image = tmp_path / "cat.jpg"
    image.write_bytes(JPEG)
    with served(resolve, KEY) as url:
        script = Path(__file__).with_name("clients.mjs")
        done = subprocess.run([NODE, script, url, KEY, image], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_client_is_answered_the_same_whatever_it_sends(answers: dict[str, Any], sagemaker: SageMaker) -> None:
    assert answers.pop("wrong_key") == 403
    for name, answer in answers.items():
        assert {score["label"] for score in answer} == set(LABELS), name
        assert name == "fetch_page" or answer == answers["huggingface"], name
    asked = [request for request in sagemaker.requests if isinstance(request, ClassifyRequest)]
    assert len(asked) == len(answers) == len(sagemaker.requests)
    assert {image for request in asked for image in request.images} == {JPEG}
    assert [request.parameters.multi_label for request in asked].count(True) == 1  # the page's checkbox
