"""What both images do when they are run as SageMaker runs them: `make images`."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.invocation import AnswerAttributes
from tests.images.conftest import Images
from tests.images.engine import Answer, Client, Container, Engine, client_of_this_machine, timed
from tests.images.podman import SHIPPED
from tests.local.conftest import free_port
from tests.model.dockerfile import normal, requirements
from tests.model.loops import QUICK, lay_out_job
from tests.stacks.conftest import REPOSITORY

LABELS = ["fish", "house", "tree", "car"]
QUESTION = {
    "inputs": base64.b64encode((REPOSITORY / "local" / "sample.png").read_bytes()).decode(),
    "parameters": {"candidate_labels": LABELS},
}
BODY = json.dumps(QUESTION).encode()


def asked(client: Client) -> Answer:
    client.send(BODY)
    answer = client.answer()
    assert answer.status == 200, answer.body
    return answer


def scores(answer: Answer) -> dict[str, float]:
    return {each["label"]: each["score"] for each in answer.body}


def version(answer: Answer) -> str:
    return AnswerAttributes.decode(answer.attributes).model_version


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """What the same program answers on this machine, outside any container."""
    port = free_port()
    settings = {
        **{"SAGEMAKER_BASE_DIR": str(tmp_path_factory.mktemp("ml")), "SM_MODEL_DIR": str(SHIPPED)},
        **{"BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port), "HF_HUB_OFFLINE": "1"},
    }
    command = [sys.executable, "-m", "model.serving", "serve"]
    with subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **settings}, stdout=subprocess.DEVNULL) as server:
        try:
            return asked(client_of_this_machine(port, len(BODY)))
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def endpoint(engine: Engine, images: Images) -> Iterator[Container]:
    """A started container that serves the shipped model."""
    with engine.container(images.serve, "serve", "--volume", f"{SHIPPED}:/opt/ml/model:ro") as container:
        yield container


def test_serve_answers_without_a_network_as_the_program_does_on_this_machine(
    endpoint: Container, reference: Answer
) -> None:
    answer = asked(endpoint.client(len(BODY)))
    assert scores(answer) == pytest.approx(scores(reference), abs=1e-4)
    assert version(answer) == version(reference)
    assert endpoint.execute("ls", "/sys/class/net").stdout.split() == ["lo"]


def test_serve_has_become_nobody_without_any_right(endpoint: Container) -> None:
    asked(endpoint.client(len(BODY)))
    lines = endpoint.execute("cat", "/proc/1/status").stdout.splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert status["Uid"] == status["Gid"] == ["65534"] * 4
    assert status["Groups"] == []
    assert {int(status[kind][0], 16) for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}
    written = endpoint.execute("touch", "/opt/ml/model/written", check=False)
    assert "Read-only file system" in written.stderr


def test_sigterm_amid_a_request_waits_for_its_answer_and_ends_well(engine: Engine, images: Images) -> None:
    with engine.container(images.serve, "serve", "--volume", f"{SHIPPED}:/opt/ml/model:ro") as container:
        whole = asked(container.client(len(BODY)))
        slow = container.client(len(BODY))
        slow.send(BODY[: len(BODY) // 2])
        engine("kill", "--signal", "TERM", container.id)
        container.wait_for_log("Shutting down")
        slow.send(BODY[len(BODY) // 2 :])
        assert slow.answer().body == whole.body
        assert container.status() == 0


def test_serve_without_a_model_serves_the_baked_one_and_anyone_may_run_it(engine: Engine, images: Images) -> None:
    with engine.container(images.serve, "serve", "--user", "nobody") as container:
        answer = asked(container.client(len(BODY)))
    assert version(answer) == images.base_version
    assert scores(answer).keys() == set(LABELS)
    assert sum(scores(answer).values()) == pytest.approx(1, abs=1e-3)


def test_serve_without_an_argument_says_what_it_takes(engine: Engine, images: Images) -> None:
    done = engine("run", "--rm", "--network", "none", images.serve, check=False)
    assert done.returncode == 2
    assert "usage: python -m model.serving serve" in done.stderr


def test_train_leaves_a_checkpoint_that_serve_answers_with(engine: Engine, images: Images, tmp_path: Path) -> None:
    job = tmp_path / "ml"
    lay_out_job(job, {**QUICK, "steps": "3"})
    (job / "input/config/resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    (job / "model").mkdir()
    as_job = ("--hostname", "algo-1", "--env", "TRAINING_JOB_NAME=three-steps", "--volume", f"{job}:/opt/ml")
    with timed("trained three steps"), engine.container(images.train, "train", *as_job) as training:
        assert training.status() == 0, "see its log"
        assert "step=3 " in training.log()
    with engine.container(images.serve, "serve", "--volume", f"{job / 'model'}:/opt/ml/model:ro") as container:
        answer = asked(container.client(len(BODY)))
        assert version(answer) == "three-steps"
        assert scores(answer).keys() == set(LABELS)
    as_owner = ("--entrypoint", "chown", images.train, "-R", f"{os.getuid()}:{os.getgid()}", "/opt/ml")
    engine("run", "--rm", "--network", "none", "--volume", f"{job}:/opt/ml", *as_owner)  # pytest may remove it then


@pytest.mark.parametrize(("target", "other"), [("serve", "train"), ("train", "serve")])
def test_an_image_holds_its_pins_and_nothing_of_the_other_or_of_cuda(
    engine: Engine, images: Images, target: str, other: str
) -> None:
    installed = packages(engine, getattr(images, target))
    pins = requirements(target)
    assert {name: installed[name].split("+")[0] for name in pins} == pins
    assert not installed.keys() & (requirements(other).keys() - pins.keys())
    assert not [name for name in installed if name.startswith(("nvidia", "cuda", "triton"))]


UNCOMPILED = """
import sys, {program}
from pathlib import Path
compiled = {{name: getattr(each, "__cached__", None) for name, each in sys.modules.items()}}
print([name for name, file in compiled.items() if isinstance(file, str) and not Path(file).exists()])
"""


@pytest.mark.parametrize(("target", "program"), [("serve", "model.serving.server"), ("train", "model.training.job")])
def test_what_a_program_imports_is_compiled_once_and_not_at_every_start(
    engine: Engine, images: Images, target: str, program: str
) -> None:
    command = ("--entrypoint", "python", getattr(images, target), "-B", "-c", UNCOMPILED.format(program=program))
    assert engine("run", "--rm", "--network", "none", *command).stdout.splitlines()[-1] == "[]"


def packages(engine: Engine, image: str) -> dict[str, str]:
    listing = ("--entrypoint", "python", image, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
    listed: list[dict[str, Any]] = json.loads(engine("run", "--rm", "--network", "none", *listing).stdout)
    return {normal(each["name"]): each["version"] for each in listed}
