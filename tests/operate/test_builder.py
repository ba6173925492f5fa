import json
from pathlib import Path
from typing import Any

import pytest

from operate.builder import DOCKER_MANIFEST, builder, tools
from operate.findings import Finding
from stacks.config import StageConfig
from tests.operate.builders import CONTAINERD, OCI, PODMAN, commands, install, program

DEV = StageConfig(stage="dev")


def found(environ: dict[str, str], config: StageConfig = DEV) -> Finding:
    (finding,) = builder(config, environ)
    return finding


def test_a_builder_is_tried_as_the_cdk_will_use_it(tmp_path: Path) -> None:
    assert found(install(tmp_path)) == Finding("ok", "docker builds images that SageMaker takes")
    (build,) = (command for command in commands(tmp_path) if command.startswith("build "))
    assert "--platform linux/amd64 --output=type=docker" in build
    assert commands(tmp_path)[-1] == "image rm wordsight-preflight"
    assert not Path(build.split()[-1]).exists()


@pytest.mark.parametrize(
    ("name", "image", "remedy"),
    [("docker", CONTAINERD, "containerd-snapshotter"), ("podman", PODMAN, "export BUILDAH_FORMAT=docker")],
)
def test_a_builder_that_makes_oci_manifests_is_refused(
    tmp_path: Path, name: str, image: dict[str, Any], remedy: str
) -> None:
    refused = found({**install(tmp_path, name, image), "CDK_DOCKER": name})
    assert refused.level == "failure"
    assert f"{name} makes images with the manifest {OCI}, which SageMaker refuses" in refused.text
    assert remedy in refused.remedy and "serve_image_uri" in refused.remedy


@pytest.mark.parametrize(
    ("name", "image"),
    [("docker", {"Descriptor": {"mediaType": DOCKER_MANIFEST}}), ("podman", {"ManifestType": DOCKER_MANIFEST})],
)
def test_a_manifest_of_dockers_is_taken_from_any_builder(tmp_path: Path, name: str, image: dict[str, Any]) -> None:
    assert found({**install(tmp_path, name, image), "CDK_DOCKER": name}).level == "ok"


def test_a_builder_that_keeps_it_to_itself_is_a_warning(tmp_path: Path) -> None:
    assert found({**install(tmp_path, "finch"), "CDK_DOCKER": "finch"}).level == "warning"


@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        (
            {"info": "Cannot connect to the Docker daemon"},
            "docker does not answer: Cannot connect to the Docker daemon",
        ),
        ({"buildx": "unknown command"}, "docker has no buildx"),
        ({"build": "no match for platform"}, "docker can't build for linux/amd64: no match for platform"),
    ],
)
def test_a_builder_that_can_not_build_says_why(tmp_path: Path, fails: dict[str, str], sentence: str) -> None:
    refused = found(install(tmp_path, **fails))
    assert refused.level == "failure" and sentence in refused.text and refused.remedy


def test_without_a_builder_there_are_other_ways(tmp_path: Path) -> None:
    refused = found({"PATH": str(tmp_path)})
    assert refused.text == "there is no docker on the PATH to build the images"
    assert "CDK_DOCKER" in refused.remedy and "serve_image_uri" in refused.remedy


def test_nothing_is_built_where_both_images_are_given(tmp_path: Path) -> None:
    uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/wordsight:1"
    given = StageConfig(stage="dev", serve_image_uri=uri, train_image_uri=uri)
    assert found({"PATH": str(tmp_path)}, given).level == "ok"
    assert found({"PATH": str(tmp_path)}, StageConfig(stage="dev", serve_image_uri=uri)).level == "failure"


def test_who_builds_nothing_on_purpose_is_told_what_that_asks_for(tmp_path: Path) -> None:
    warned = found({"PATH": str(tmp_path), "CDK_DOCKER": "false"})
    assert warned.level == "warning" and "CDK_DOCKER is false" in warned.text


def repository(folder: Path, installed: str, node: str) -> dict[str, str]:
    (folder / "package.json").write_text(json.dumps({"dependencies": {"aws-cdk": "2.1148.1"}}))
    (folder / "node_modules/aws-cdk").mkdir(parents=True)
    (folder / "node_modules/aws-cdk/package.json").write_text(json.dumps({"version": installed}))
    return program(folder, "node", f"#!/bin/sh\necho {node}\n")


def test_the_pinned_cli_and_a_living_node_are_what_the_cdk_needs(tmp_path: Path) -> None:
    environ = repository(tmp_path, "2.1148.1", "v24.1.0")
    assert [finding.level for finding in tools(environ, tmp_path)] == ["ok", "ok"]


def test_another_cli_and_an_old_node_are_named_with_what_is_needed(tmp_path: Path) -> None:
    cli, node = tools(repository(tmp_path, "3.0.0", "v18.20.0"), tmp_path)
    assert (cli.level, cli.remedy) == ("failure", "npm ci")
    assert "is 3.0.0, package.json wants 2.1148.1" in cli.text
    assert node.level == "failure" and node.text == "Node is v18.20.0, 22 or newer is needed"


def test_without_node_and_cli_both_are_named(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"aws-cdk": "2.1148.1"}}))
    cli, node = tools({"PATH": str(tmp_path)}, tmp_path)
    assert "is missing" in cli.text and "there is no node" in node.text
