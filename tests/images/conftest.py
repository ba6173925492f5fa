"""The two images of stage dev, built from what `cdk deploy` would send to a Docker engine, or from its like."""

import importlib.metadata
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images import hub, pip_settings, podman
from tests.images.engine import Engine
from tests.stacks.conftest import REPOSITORY, Assembly, synthesize
from tests.stacks.test_images import images as staged_images

__all__ = ["synthesize"]  # a fixture here, too

CACHE = REPOSITORY / ".images"
SHIPPED = REPOSITORY / "model" / "shipped"

HUB_PORT = 20_000 + zlib.crc32(str(REPOSITORY).encode()) % 10_000
"""Always the same, since it is part of the key that the layer of weights is kept by; another for another checkout."""


@dataclass(frozen=True)
class Images:
    """The names of what was built."""

    serve: str
    train: str
    base_version: str
    """Of the model that both hold."""


@contextmanager
def timed(what: str) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    print(f"\n{time.monotonic() - began_s:6.1f} s  {what}", flush=True)


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
def images(engine: Engine, synthesize: object, tmp_path_factory: pytest.TempPathFactory) -> Images:
    with timed("synthesized stage dev"):
        assembly: Assembly = synthesize(stage="dev")  # type: ignore[operator]
    with ExitStack() as held:
        if engine.command == "docker":
            options, arguments = ("buildx", "build", "--provenance=false", "--output=type=docker"), {}
        else:
            scratch = tmp_path_factory.mktemp("build")
            with timed("made the base image, or found it"):
                podman.make_base(engine)
            hub.publish(SHIPPED, scratch / "repository")
            url = held.enter_context(hub.serving(scratch / "repository", port=HUB_PORT))
            options = (*podman.BUILD, *pip_settings.volumes(scratch))
            arguments = {
                "BASE_IMAGE": podman.BASE_IMAGE,
                "HF_ENDPOINT": url,
                "MODEL_ID": hub.MODEL_ID,
                "MODEL_REVISION": hub.REVISION,
            }
            if importlib.metadata.version("torch").endswith("+cpu"):
                arguments["TORCH_CPU_INDEX"] = ""  # this machine's pip knows where such a torch is
        names = {}
        for stack in ("Serving", "Training"):
            (image,) = staged_images(assembly, stack)
            context, target = assembly.directory / image["directory"], image["dockerBuildTarget"]
            make_strict(context)
            with timed(f"built {target}"):
                given = {**image["dockerBuildArgs"], **arguments}
                names[target] = engine.build(context, image["dockerFile"], target, given, *options)
    default = dict(line.removeprefix("ARG ").split("=") for line in dockerfile_lines("ARG MODEL_"))
    model = {**default, **arguments}
    return Images(**names, base_version=f"{model['MODEL_ID']}@{model['MODEL_REVISION'][:12]}")


def make_strict(context: Path) -> None:
    """As if the sources had been checked out under the umask 077, and always at the same time, which a layer's key may
    depend on.
    """
    for path in (context, *context.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (0, 0))


def dockerfile_lines(start: str) -> list[str]:
    lines = (REPOSITORY / "model" / "Dockerfile").read_text().splitlines()
    return [line for line in lines if line.startswith(start)]
