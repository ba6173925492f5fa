import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model.dockerfile import sources
from tests.stacks.conftest import REPOSITORY, Assembly, Synthesize, flat

DOCKERFILE, DOCKERIGNORE = Path("model/Dockerfile"), Path("model/Dockerfile.dockerignore")


def images(assembly: Assembly, stack: str, stage: str = "dev") -> list[dict[str, Any]]:
    """The sources of the images that the CLI would build for a stack."""
    manifest = assembly.directory / f"Wordsight{stack}-{stage}.assets.json"
    return [each["source"] for each in json.loads(manifest.read_text())["dockerImages"].values()]


def test_each_container_is_built_from_the_one_dockerfile_for_sagemakers_processors(dev: Assembly) -> None:
    for stack in ("Serving", "Training"):
        (image,) = images(dev, stack)
        assert image["dockerFile"] == "model/Dockerfile"
        assert image["platform"] == "linux/amd64"


def test_images_are_pushed_with_the_manifest_that_sagemaker_takes(dev: Assembly) -> None:
    for stack in ("Serving", "Training"):
        (image,) = images(dev, stack)
        assert image["dockerOutputs"] == ["type=docker"]


def test_without_a_gpu_both_are_built_for_cpus_on_the_dockerfiles_own_base(dev: Assembly) -> None:
    for stack in ("Serving", "Training"):
        (image,) = images(dev, stack)
        assert image["dockerBuildArgs"] == {"DEVICE": "cpu"}


def test_with_gpus_training_stands_on_awss_image_and_serving_on_the_dockerfiles_own(prod: Assembly) -> None:
    (train,) = images(prod, "Training", stage="prod")
    (serve,) = images(prod, "Serving", stage="prod")
    assert train["dockerBuildArgs"] == {
        "DEVICE": "gpu",
        "BASE_IMAGE": "public.ecr.aws/deep-learning-containers/pytorch:2.13-cu133-amzn2023-sagemaker",
    }
    assert serve["dockerBuildArgs"] == {"DEVICE": "gpu"}


@pytest.mark.slow
def test_another_clip_can_be_baked_in(synthesize: Synthesize) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    assembly = synthesize(
        model_id="openai/clip-vit-large-patch14", model_revision=revision, serve_base_image="python:3.13-slim"
    )
    (serve,) = images(assembly, "Serving")
    assert serve["dockerBuildArgs"] == {
        "DEVICE": "cpu",
        "BASE_IMAGE": "python:3.13-slim",
        "MODEL_ID": "openai/clip-vit-large-patch14",
        "MODEL_REVISION": revision,
    }


def context(assembly: Assembly, stack: str) -> set[Path]:
    """The files that an image's builder would get, relative to the repository."""
    (image,) = images(assembly, stack)
    staged = assembly.directory / image["directory"]
    return {each.relative_to(staged) for each in staged.rglob("*") if each.is_file()}


@pytest.mark.parametrize(("stack", "target"), [("Serving", "serve"), ("Training", "train")])
def test_the_context_is_what_the_image_copies_and_no_more(dev: Assembly, stack: str, target: str) -> None:
    copied = {path.relative_to(REPOSITORY) for path in sources(target)}
    assert context(dev, stack) == {*copied, DOCKERFILE, DOCKERIGNORE}


def test_a_builder_that_is_given_the_repository_gets_both_contexts(dev: Assembly) -> None:
    """By Docker's rules: the last line that matches a path, or a folder around it, decides."""
    lines = [line for line in (REPOSITORY / DOCKERIGNORE).read_text().splitlines() if not line.startswith("#")]
    files = [path.relative_to(REPOSITORY) for name in ("contract", "model", "stacks") for path in tree(name)]
    sent = {path for path in files if not ignored(path, lines)}
    assert sent == context(dev, "Serving") | context(dev, "Training")


def tree(name: str) -> Iterator[Path]:
    return (path for path in (REPOSITORY / name).rglob("*") if path.is_file())


def ignored(path: Path, lines: list[str]) -> bool:
    verdict = False
    for line in lines:
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.match(f"{pattern}(/|$)", path.as_posix()):
            verdict = not line.startswith("!")
    return verdict


TOUCH = """
import sys
from pathlib import Path
from aws_cdk import App, AssetStaging, Stack
from stacks.stage_files import stage_config
from stacks.images import ContainerImage

for touched in ["model/Dockerfile", *sys.argv[1:]]:
    with Path(touched).open("a") as file:
        file.write("# touched")
    AssetStaging.clear_asset_hash_cache()
    app = App()
    for build in (ContainerImage.serve, ContainerImage.train):
        image = build(Stack(app, build.__name__), stage_config("dev"))
        print(Stack.of(image.repository).resolve(image.uri)["Fn::Sub"].split(":")[-1])
"""


@pytest.mark.slow
def test_what_only_one_image_holds_changes_the_other_ones_tag_never(tmp_path: Path) -> None:
    """A new tag of the serving image is a new fleet. In a copy of the repository, to touch its files."""
    for name in ("contract", "lambdas", "model", "stacks"):
        ignore = shutil.ignore_patterns("__pycache__", "shipped")
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=ignore)
    both, serve, train = "both", "serve", "train"
    held_by = {
        **{"contract/limits.py": both, "model/clip/encode.py": both, "model/requirements.txt": both},
        **{"model/serving/server.py": serve, "model/serving/requirements-cpu.txt": serve},
        **{"model/training/job.py": train, "model/training/requirements.txt": train, "model/data/batch.py": train},
        **{"model/evaluation/world.py": train, "model/world/scene.py": train},
    }
    command = [sys.executable, "-c", TOUCH, *held_by]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tags = done.stdout.split()
    for number, (path, holder) in enumerate(held_by.items(), 1):
        before, after = tags[2 * number - 2 : 2 * number], tags[2 * number : 2 * number + 2]
        changed = [image for image, old, new in zip((serve, train), before, after, strict=True) if old != new]
        assert changed == ([serve, train] if holder == both else [holder]), path


@pytest.mark.slow
def test_images_that_were_pushed_before_need_no_docker(synthesize: Synthesize) -> None:
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assembly = synthesize(serve_image_uri=f"{registry}/team/serve:7", train_image_uri=f"{registry}/team/train:7")
    assert images(assembly, "Serving") == images(assembly, "Training") == []
    container = assembly.serving.the("AWS::SageMaker::Model")["PrimaryContainer"]
    assert container["Image"] == f"{registry}/team/serve:7"
    machine = assembly.training.the("AWS::StepFunctions::StateMachine", "StateMachine")
    assert f"{registry}/team/train:7" in flat(machine["DefinitionString"])


def test_an_image_that_was_pushed_before_may_be_pulled(synthesize: Synthesize) -> None:
    uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/serve:7"
    assembly = synthesize(serve_image_uri=uri, train_image_uri=uri.replace("serve", "train"))
    (resources,) = (
        resources
        for actions, resources, _ in assembly.serving.statements("ExecutionRole")
        if "ecr:BatchGetImage" in actions
    )
    assert resources == ("arn:${AWS::Partition}:ecr:eu-central-1:123456789012:repository/team/serve",)
