import json
import sys
from pathlib import Path

import pytest

from local.images import ImageError, find_program
from tests.local.conftest import IMAGE


def test_an_image_is_the_entrypoint_of_its_staged_dockerfile(cloud_assembly: Path) -> None:
    program = find_program(IMAGE, cloud_assembly)
    assert program.command == (sys.executable, "program.py")
    assert program.directory == cloud_assembly / "asset.0123abc"
    assert program.environment == {"GREETING": "hello there", "BASE_MODEL_DIR": "/opt/base"}


def test_an_image_that_was_not_staged_is_refused_by_name(cloud_assembly: Path) -> None:
    with pytest.raises(ImageError, match=r"public\.ecr\.aws/pytorch:2\.13"):
        find_program("public.ecr.aws/pytorch:2.13", cloud_assembly)


def test_a_dockerfile_without_an_entrypoint_is_refused(cloud_assembly: Path) -> None:
    (cloud_assembly / "asset.0123abc/Dockerfile").write_text("FROM python:3.12-slim\nCMD python\n")
    with pytest.raises(ImageError, match="no ENTRYPOINT in JSON form"):
        find_program(IMAGE, cloud_assembly)


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
    target: str, environment: dict[str, str], cloud_assembly: Path
) -> None:
    (cloud_assembly / "asset.0123abc/Dockerfile").write_text(TWO_TARGETS)
    source = {"directory": "asset.0123abc", "dockerBuildTarget": target}
    (cloud_assembly / "Stack.assets.json").write_text(json.dumps({"dockerImages": {"0123abc": {"source": source}}}))
    program = find_program(IMAGE, cloud_assembly)
    assert program.command == (sys.executable, "-m", target)
    assert program.environment == environment
