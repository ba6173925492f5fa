"""The two images of stage dev, built from what `cdk deploy` would send to a Docker engine, or from its like."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images import podman
from tests.images.engine import Engine, timed
from tests.model.dockerfile import instructions
from tests.stacks.conftest import REPOSITORY, Synthesize, synthesize
from tests.stacks.test_images import images as staged_images

__all__ = ["synthesize"]  # a fixture here, too

CACHE = REPOSITORY / ".images"
DOCKER_BUILD = ("buildx", "build", "--provenance=false", "--output=type=docker")
"""As CDK's command line does."""


@dataclass(frozen=True)
class Images:
    """The names of what was built."""

    serve: str
    train: str
    base_version: str
    """Of the model that both hold."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Docker where its engine answers, or else podman. Without either nothing is checked, which STRICT=1 forbids."""
    if answers("docker"):
        yield Engine("docker", {})
        return
    with timed("found podman or installed it"):
        obstacle = podman.obstacle()
    if obstacle is not None:
        refuse = pytest.fail if os.environ.get("STRICT") == "1" else pytest.skip
        refuse(f"NO IMAGE WAS BUILT, NONE WAS RUN. No Docker engine answers, and podman can't stand in: {obstacle}")
    with podman.engine(CACHE) as engine:
        yield engine


def answers(command: str) -> bool:
    return shutil.which(command) is not None and subprocess.run([command, "info"], capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def images(engine: Engine, synthesize: Synthesize, tmp_path_factory: pytest.TempPathFactory) -> Images:
    with timed("synthesized stage dev"):
        assembly = synthesize(stage="dev")
    scratch = tmp_path_factory.mktemp("build")
    docker = nullcontext[tuple[tuple[str, ...], dict[str, str]]]((DOCKER_BUILD, {}))
    names = {}
    with docker if engine.command == "docker" else podman.how_to_build(engine, scratch) as (options, arguments):
        for stack in ("Serving", "Training"):
            (image,) = staged_images(assembly, stack)
            context, target = assembly.directory / image["directory"], image["dockerBuildTarget"]
            make_strict(context)
            given = {**image["dockerBuildArgs"], **arguments}
            with timed(f"built {target}"):
                names[target] = engine.build(context, image["dockerFile"], target, given, *options)
    defaults = dict(rest.split("=") for word, rest in instructions("weights") if word == "ARG")
    model = {**defaults, **arguments}
    return Images(**names, base_version=f"{model['MODEL_ID']}@{model['MODEL_REVISION'][:12]}")


def make_strict(context: Path) -> None:
    """As if the sources had been checked out under the umask 077."""
    for path in (context, *context.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
