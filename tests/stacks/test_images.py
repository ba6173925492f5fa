import json
from pathlib import Path
from typing import Any

from tests.stacks.conftest import Assembly, Synthesize, flat


def images(assembly: Assembly, stack: str) -> list[dict[str, Any]]:
    """The sources of the images that the CLI would build for a stack."""
    (manifest,) = assembly.directory.glob(f"Wordsight{stack}-*.assets.json")
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


def test_training_stands_on_awss_image_and_serving_on_the_dockerfiles_own(dev: Assembly) -> None:
    (train,) = images(dev, "Training")
    (serve,) = images(dev, "Serving")
    assert train["dockerBuildArgs"] == {
        "BASE_IMAGE": "public.ecr.aws/deep-learning-containers/pytorch:2.13-cu133-amzn2023-sagemaker"
    }
    assert serve["dockerBuildArgs"] == {}


def test_another_clip_can_be_baked_in(synthesize: Synthesize) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    assembly = synthesize(
        model_id="openai/clip-vit-large-patch14", model_revision=revision, serve_base_image="python:3.13-slim"
    )
    (serve,) = images(assembly, "Serving")
    assert serve["dockerBuildArgs"] == {
        "BASE_IMAGE": "python:3.13-slim",
        "MODEL_ID": "openai/clip-vit-large-patch14",
        "MODEL_REVISION": revision,
    }


def test_the_context_is_the_containers_code_alone(dev: Assembly) -> None:
    (image,) = images(dev, "Serving")
    staged = dev.directory / image["directory"]
    files = {each.relative_to(staged) for each in staged.rglob("*") if each.is_file()}
    assert {Path("model/Dockerfile"), Path("model/requirements.txt"), Path("model/serving/__main__.py")} <= files
    assert {each.parts[0] for each in files} == {"contract", "model"}
    assert not [each for each in files if each.parts[1] == "shipped" or each.suffix == ".pyc"]


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
