"""The container images: built from this repository by Docker at deploy time, or pushed to ECR before."""

import re
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import IgnoreMode, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct

from stacks.config import StageConfig

REPOSITORY_ROOT = Path(__file__).parent.parent

DOCKERFILE = "model/Dockerfile"

OF_THE_OTHER_IMAGE = {
    "serve": ("model/training", "model/data", "model/evaluation", "model/world"),
    "train": ("model/serving",),
}
"""By target, what the builder gets and only the other one copies: a change there must not build this image anew."""

DEEP_LEARNING_CONTAINER = "public.ecr.aws/deep-learning-containers/pytorch:2.13-cu133-amzn2023-sagemaker"
"""AWS's training image: training hosts let nobody choose a driver, and this image brings CUDA's compatibility layer."""


@dataclass(frozen=True)
class ContainerImage:
    """An image that SageMaker can run, and the repository that a role must be allowed to pull it from."""

    uri: str
    repository: ecr.IRepository

    @classmethod
    def serve(cls, scope: Construct, config: StageConfig) -> "ContainerImage":
        """The inference image."""
        if config.serve_image_uri:
            return cls._pushed(scope, config.serve_image_uri)
        return cls._built(scope, config, "serve", config.serve_base_image, config.endpoint_has_gpu)

    @classmethod
    def train(cls, scope: Construct, config: StageConfig) -> "ContainerImage":
        """The training image, with a GPU on a base that suits training hosts."""
        if config.train_image_uri:
            return cls._pushed(scope, config.train_image_uri)
        base_image = config.train_base_image or (DEEP_LEARNING_CONTAINER if config.training_has_gpu else "")
        return cls._built(scope, config, "train", base_image, config.training_has_gpu)

    @classmethod
    def _built(
        cls, scope: Construct, config: StageConfig, target: str, base_image: str, has_gpu: bool
    ) -> "ContainerImage":
        """With the Dockerfile's own defaults for what is empty."""
        ignored = (REPOSITORY_ROOT / f"{DOCKERFILE}.dockerignore").read_text().splitlines()
        build_args = {
            "DEVICE": "gpu" if has_gpu else "cpu",
            "BASE_IMAGE": base_image,
            "MODEL_ID": config.model_id,
            "MODEL_REVISION": config.model_revision,
        }
        asset = ecr_assets.DockerImageAsset(
            scope,
            "Image",
            directory=str(REPOSITORY_ROOT),
            file=DOCKERFILE,
            target=target,
            build_args={name: value for name, value in build_args.items() if value},
            platform=ecr_assets.Platform.LINUX_AMD64,  # a laptop's own may be arm64, which no endpoint can run
            outputs=["type=docker"],  # SageMaker refuses the OCI manifests that newer builders push by default
            exclude=[*ignored, *OF_THE_OTHER_IMAGE[target]],
            ignore_mode=IgnoreMode.DOCKER,
        )
        return cls(asset.image_uri, asset.repository)

    @classmethod
    def _pushed(cls, scope: Construct, uri: str) -> "ContainerImage":
        found = re.match(r"(\d+)\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/([^:@]+)", uri)
        assert found, "StageConfig has checked the URI"  # noqa: S101
        account, region, name = found.groups()
        arn = Stack.of(scope).format_arn(
            service="ecr", region=region, account=account, resource="repository", resource_name=name
        )
        repository = ecr.Repository.from_repository_attributes(scope, "Image", repository_arn=arn, repository_name=name)
        return cls(uri, repository)
