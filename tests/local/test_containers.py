import json
import sys
from pathlib import Path

import pytest

from local.containers import Container, Images
from local.sagemaker import ApiError
from tests.local.conftest import IMAGE
from tests.local.emulated import wait_for


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What stands for /opt/ml, with the hyperparameters of a training job."""
    folder = tmp_path / "programs" / "job"
    for name in ("input/config", "input/data/train", "model", "checkpoints"):
        (folder / name).mkdir(parents=True)
    (folder / "input/config/hyperparameters.json").write_text(json.dumps({"seconds": "60"}))
    return folder


def train(images: Images, base: Path, lines: list[str]) -> Container:
    """The image's `train` program, whose lines are listened to."""
    return images.start(images.find(IMAGE), "train", base, {}, "group", "stream", lines.extend)


def test_every_line_reaches_the_log_and_who_listens_and_stays_in_a_file(
    images: Images, base: Path, log_lines: list[str], tmp_path: Path
) -> None:
    heard: list[str] = []
    (base / "checkpoints/step").write_text("4")
    container = train(images, base, heard)
    container.wait()
    container.wait_for_log()
    assert (heard, log_lines) == (["step=5"], ["group stream: step=5"])
    assert (tmp_path / "logs/job.log").read_text() == "step=5\n"
    assert container.exit_code == 0


def test_a_program_is_asked_to_end_before_it_is_killed(images: Images, base: Path) -> None:
    container = train(images, base, [])
    wait_for((base / "checkpoints/step").exists)
    assert container.exit_code is None
    container.stop(grace_s=30)
    assert container.exit_code == 0  # the program's own, as it takes SIGTERM


def test_waiting_ends_with_the_time_to_wait(images: Images, base: Path) -> None:
    container = train(images, base, [])
    container.wait(timeout_s=0.01)
    assert container.exit_code is None
    container.stop(grace_s=30)


def test_the_last_error_of_a_program_that_logs_json_is_its_last_words(images: Images, base: Path) -> None:
    quiet, reason = {"LOG_AND_REFUSE": "1"}, "no such weights"
    container = images.start(images.find(IMAGE), "serve", base, quiet, "group", "stream")
    container.wait()
    assert container.last_words() == reason


def test_an_image_is_the_entrypoint_of_its_staged_dockerfile(cloud_assembly: Path, images: Images) -> None:
    program = images.find(IMAGE)
    assert program.command == (sys.executable, "program.py")
    assert program.directory == cloud_assembly / "asset.0123abc"
    assert program.environment == {"GREETING": "hello there", "BASE_MODEL_DIR": "/opt/base"}


def test_an_image_that_was_not_staged_is_refused_by_name(images: Images) -> None:
    with pytest.raises(ApiError, match=r"public\.ecr\.aws/pytorch:2\.13"):
        images.find("public.ecr.aws/pytorch:2.13")


def test_a_dockerfile_without_an_entrypoint_is_refused(cloud_assembly: Path, images: Images) -> None:
    (cloud_assembly / "asset.0123abc/Dockerfile").write_text("FROM python:3.12-slim\nCMD python\n")
    with pytest.raises(ApiError, match="no ENTRYPOINT in JSON form"):
        images.find(IMAGE)


TWO_TARGETS = """
FROM python:3.12-slim AS runtime
ENV GREETING=hello
FROM runtime AS train
ENTRYPOINT ["python", "-m", "train"]
FROM runtime AS serve
ENV PORT=8080
ENTRYPOINT ["python", "-m", "serve"]
"""


@pytest.mark.parametrize(
    ("target", "environment"), [("train", {"GREETING": "hello"}), ("serve", {"GREETING": "hello", "PORT": "8080"})]
)
def test_of_several_targets_the_image_is_the_one_that_it_was_built_for(
    target: str, environment: dict[str, str], cloud_assembly: Path, images: Images
) -> None:
    (cloud_assembly / "asset.0123abc/Dockerfile").write_text(TWO_TARGETS)
    source = {"directory": "asset.0123abc", "dockerBuildTarget": target}
    (cloud_assembly / "Stack.assets.json").write_text(json.dumps({"dockerImages": {"0123abc": {"source": source}}}))
    program = images.find(IMAGE)
    assert program.command == (sys.executable, "-m", target)
    assert program.environment == environment


def test_a_base_in_the_build_arguments_stands_in_the_image_in_place_of_the_shipped_one(
    cloud_assembly: Path, images: Images, base: Path, tmp_path: Path
) -> None:
    assert images.find(IMAGE).base is None
    arguments = {"MODEL_ID": "somebody/clip", "MODEL_REVISION": "0" * 40}
    source = {"directory": "asset.0123abc", "dockerBuildArgs": arguments}
    (cloud_assembly / "Stack.assets.json").write_text(json.dumps({"dockerImages": {"0123abc": {"source": source}}}))
    assert images.find(IMAGE).base is None  # as a stage's file may name one that was never asked for here
    images.bases.write_text(json.dumps({f"somebody/clip@{'0' * 40}": str(tmp_path / "clip")}))
    assert images.find(IMAGE).base == tmp_path / "clip"
