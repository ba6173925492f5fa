"""What a deployment needs of this machine: the pinned CDK CLI, Node, and a builder whose images SageMaker takes."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from operate.findings import Finding
from stacks.config import StageConfig

REPOSITORY = Path(__file__).resolve().parent.parent

MINIMUM_NODE = 22
"""jsii, by which Python speaks to the CDK, supports no older one: https://nodejs.org/en/about/previous-releases"""

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""The only manifest that SageMaker takes: others end as "Unsupported manifest media type", OCI's among them."""
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
"""Which Lambda takes as well: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html"""

PUSHED_BEFORE = 'or push both images to ECR elsewhere: CONTEXT="-c serve_image_uri=… -c train_image_uri=…"'

TIMEOUT_S = 30


def tools(environ: Mapping[str, str], repository: Path = REPOSITORY) -> Iterator[Finding]:
    """Whether the CDK CLI is the one that package.json pins, and Node is new enough for it."""
    pinned = json.loads((repository / "package.json").read_text())["dependencies"]["aws-cdk"]
    manifest = repository / "node_modules/aws-cdk/package.json"
    installed = json.loads(manifest.read_text())["version"] if manifest.is_file() else "missing"
    if installed == pinned:
        yield Finding("ok", f"the CDK CLI is {pinned}")
    else:
        yield Finding("failure", f"the CDK CLI in node_modules is {installed}, package.json wants {pinned}", "npm ci")
    if not shutil.which("node", path=environ.get("PATH")):
        yield Finding("failure", "there is no node on the PATH, and the CDK is written in it", _NODE)
        return
    version = _run(["node", "--version"], environ).stdout.strip()
    major = re.match(r"v(\d+)\.", version)
    if major and int(major[1]) >= MINIMUM_NODE:
        yield Finding("ok", f"Node is {version}")
    else:
        yield Finding("failure", f"Node is {version or 'silent'}, {MINIMUM_NODE} or newer is needed", _NODE)


_NODE = f"install Node {MINIMUM_NODE} or newer from https://nodejs.org, or run by make, which brings its own"


def builder(config: StageConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the program that builds the images is there, answers, and makes what SageMaker takes."""
    if config.serve_image_uri and config.train_image_uri:
        yield Finding("ok", "no image is built: both are given by their URIs")
        return
    program = environ.get("CDK_DOCKER") or "docker"
    if Path(program).name == "false":
        # What the CDK's users write to say that nothing is to be built, since the images were pushed before.
        yield Finding("warning", "CDK_DOCKER is false, so no image can be built: those in the repository must be there")
        return
    if not shutil.which(program, path=environ.get("PATH")):
        yield Finding(
            "failure",
            f"there is no {program} on the PATH to build the images",
            f"install Docker, name finch or podman by CDK_DOCKER, {PUSHED_BEFORE}",
        )
        return
    if (answered := _run([program, "info"], environ)).returncode:
        yield Finding("failure", f"{program} does not answer: {_last_line(answered)}", f"start it, {PUSHED_BEFORE}")
        return
    is_docker = Path(program).name == "docker"
    if is_docker and _run([program, "buildx", "version"], environ).returncode:
        yield Finding(
            "failure", "docker has no buildx, which builds for linux/amd64", "https://docs.docker.com/go/buildx"
        )
        return
    yield _trial_build(program, is_docker, environ)


def _trial_build(program: str, is_docker: bool, environ: Mapping[str, str]) -> Finding:
    """Builds an empty image with the options that the CDK uses, and looks at its manifest."""
    tag = "wordsight-preflight"
    # As stacks/images.py asks for it and the CDK CLI does it. A builder in a virtual machine sees the home folder only,
    # so that its context is here.
    options = ["--platform", "linux/amd64", "--output=type=docker", "--tag", tag]
    environ = {**environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    with tempfile.TemporaryDirectory(prefix=".preflight-", dir=REPOSITORY) as context:
        (Path(context) / "Dockerfile").write_text("FROM scratch\nLABEL wordsight=preflight\n")
        built = _run([program, "build", *options, context], environ)
    if built.returncode:
        return Finding("failure", f"{program} can't build for linux/amd64: {_last_line(built)}", PUSHED_BEFORE[3:])
    inspected = _run([program, "image", "inspect", tag], environ)
    _run([program, "image", "rm", tag], environ)
    try:
        media_type = _media_type(json.loads(inspected.stdout)[0], is_docker)
    except (ValueError, IndexError):  # a builder that keeps no image, or describes it in its own way
        media_type = None
    if media_type == DOCKER_MANIFEST:
        return Finding("ok", f"{program} builds images that SageMaker takes")
    if media_type is None:
        return Finding(
            "warning",
            f"{program} does not say what manifests it pushes, and SageMaker refuses all but Docker's",
            'if it speaks of an "Unsupported manifest media type", take docker or podman to build',
        )
    return Finding(
        "failure",
        f"{program} makes images with the manifest {media_type}, which SageMaker refuses: it takes {DOCKER_MANIFEST}",
        f"{_CONTAINERD_OFF if is_docker else _BUILDAH}, {PUSHED_BEFORE}",
    )


_CONTAINERD_OFF = (
    "turn the containerd image store off (Docker Desktop: Settings, General; Docker Engine: "
    '{"features": {"containerd-snapshotter": false}} in /etc/docker/daemon.json) and restart Docker'
)
_BUILDAH = "export BUILDAH_FORMAT=docker for podman"


def _media_type(image: Mapping[str, Any], is_docker: bool) -> str | None:
    """Of the manifest that a push would send, from what `image inspect` says; None where that says nothing.

    Docker tells it if its store is containerd's; its older store keeps no manifests, and pushes Docker's own.
    """
    found = (image.get("Descriptor") or {}).get("mediaType") or image.get("ManifestType")
    return str(found) if found else DOCKER_MANIFEST if is_docker else None


def _run(command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    program = shutil.which(command[0], path=environ.get("PATH", os.defpath)) or command[0]
    try:
        return subprocess.run(  # noqa: S603, the builder that the deployer names, and node
            [program, *command[1:]], env=dict(environ), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {TIMEOUT_S} seconds")


def _last_line(ran: "subprocess.CompletedProcess[str]") -> str:
    lines = (ran.stderr or ran.stdout).strip().splitlines()
    return lines[-1].strip() if lines else f"it ended with {ran.returncode}"
