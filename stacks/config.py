"""What differs between stages, and every knob of a deployment: one frozen, validated `StageConfig` per stage.

    npx cdk deploy --all -c stage=prod -c throttling_rate_rps=200
    python -m stacks.config prod                                       # what it costs, idle

Any field may be set with `-c field=value` (see context.py); a value that is not allowed stops synth with a sentence
about it.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from contract.containers import Precision, ServeSettings
from lambdas.settings import ORIGIN

POWERTOOLS_LAYER_VERSION = 36
"""The public layer that carries aws-lambda-powertools and pydantic at the versions of requirements.txt."""

USD_PER_HOUR = {
    "ml.c5.xlarge": 0.204,
    "ml.c7i.xlarge": 0.214,
    "ml.c7i.2xlarge": 0.428,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g6.xlarge": 1.1267,
    "ml.g5.xlarge": 1.408,
}
"""On-demand price of one instance in us-east-1, as of 2026: the same for an endpoint and for training."""
HOURS_PER_MONTH = 730

AUTH_MODES = ("api_key", "iam", "none")
LOG_RETENTION_DAYS = {
    1: "ONE_DAY",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    90: "THREE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
}
"""Days and what CDK calls them."""
GPU_AMIS = ("al2023-ami-sagemaker-inference-gpu-4-1", "al2-ami-sagemaker-inference-gpu-3-1")
"""Drivers 580 (CUDA 13, what PyPI's torch needs) and 550 (CUDA 12.4, for an image with cu126 wheels)."""


class ConfigError(ValueError):
    """A stage's configuration is not allowed. The text names every bad value, what is allowed and what to do."""


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Everything that may differ between two deployments of the app. The defaults are the cheap ones of `dev`."""

    stage: str

    endpoint_instance_type: str = "ml.c7i.xlarge"
    endpoint_instance_count: int = 1
    inference_ami: str = "al2023-ami-sagemaker-inference-gpu-4-1"
    """Used by GPU instances only; without it SageMaker starts them with a driver too old for any current torch."""
    startup_timeout_s: int = 600
    exact: bool = False
    """Answer what transformers does, to 1e-4: in fp32, from images that are resized its way. About half as fast."""
    precision: str = "auto"
    """Of the arithmetic: fp16 on GPUs and bf16 on CPUs, or one of these, fp32, or int8 (CPUs only, costs accuracy)."""
    queue_budget_ms: int = ServeSettings.model_fields["queue_budget_ms"].default
    """A request that would wait longer for its turn is answered with 503 and Retry-After at once."""
    autoscaling: bool = False
    """Turn it off in a deployment of its own before changing `endpoint_instance_type`: SageMaker insists."""
    autoscaling_max_instances: int = 4
    autoscaling_concurrency: float = 4.0
    """Requests in flight per instance that scaling aims at."""

    training_instance_type: str = "ml.c7i.2xlarge"
    training_instance_count: int = 1
    training_volume_gb: int = 50
    spot: bool = False
    """Needs its own quota: "<instance type> for spot training job usage"."""
    max_run_s: int = 2 * 3600
    max_wait_s: int = 4 * 3600
    """Waiting for spot capacity and running, together. Used with `spot` only."""

    batch_concurrency: int = 2
    """Shards of a batch that are classified at once. More than the endpoint can take only wait for it."""

    model_id: str = ""
    """The CLIP checkpoint baked into the images, from the Hugging Face hub; empty: the Dockerfile's own default."""
    model_revision: str = ""
    serve_base_image: str = ""
    """Empty: what suits the instance type (stacks/images.py)."""
    train_base_image: str = ""
    serve_image_uri: str = ""
    """An image in ECR, pushed before: no Docker is needed to deploy then."""
    train_image_uri: str = ""

    auth: str = "api_key"
    throttling_rate_rps: float = 10.0
    """What callers may ask together. The endpoint is the real limit, so it grows with type and count of instances."""
    throttling_burst: int = 20
    """How many may come at once; who would wait too long (QUEUE_BUDGET_MS) the endpoint refuses itself."""
    cors_origins: tuple[str, ...] = ()

    retain_data: bool = False
    """Keep the buckets when the stacks are destroyed; otherwise they go, with all objects in them."""
    log_retention_days: int = 14

    def __post_init__(self) -> None:
        faults = [*_faults(self), *_contradictions(self)]
        if faults:
            raise ConfigError("; ".join(faults))

    @property
    def name(self) -> str:
        """The prefix of everything that carries a physical name: the endpoint and its training jobs."""
        return f"wordsight-{self.stage}"

    @property
    def serving_stack_name(self) -> str:
        """The stack that serves: those that update it know it by its name only."""
        return f"WordsightServing-{self.stage}"

    @property
    def training_usd_per_hour(self) -> float:
        """What a training's instances cost on demand; 0 if that is not known here."""
        return USD_PER_HOUR.get(self.training_instance_type, 0.0) * self.training_instance_count

    @property
    def tags(self) -> dict[str, str]:
        """What everything that costs carries, so that a bill can be read by application and stage."""
        return {"application": "wordsight", "stage": self.stage}

    @property
    def endpoint_has_gpu(self) -> bool:
        return _has_gpu(self.endpoint_instance_type)

    @property
    def training_has_gpu(self) -> bool:
        return _has_gpu(self.training_instance_type)

    @property
    def cost(self) -> str:
        """What the idle deployment costs, in a sentence. The endpoint's instances are nearly all of it."""
        instances = f"{self.endpoint_instance_count} x {self.endpoint_instance_type}"
        price_usd = USD_PER_HOUR.get(self.endpoint_instance_type)
        if price_usd is None:
            return f"the endpoint runs on {instances}: https://aws.amazon.com/sagemaker/ai/pricing says what that costs"
        usd_per_hour = price_usd * self.endpoint_instance_count
        return (
            f"the endpoint runs on {instances}: about {usd_per_hour:.2f} USD per hour, "
            f"{usd_per_hour * HOURS_PER_MONTH:.0f} USD per month (us-east-1), busy or idle, until it is destroyed"
        )


def _has_gpu(instance_type: str) -> bool:
    return bool(re.match(r"ml\.[gp]\d", instance_type))


@dataclass(frozen=True)
class _Rule:
    holds: Callable[[Any], bool]
    allowed: str


def _one_of(*values: object) -> _Rule:
    return _Rule(values.__contains__, ", ".join(map(str, values)))


def _between(low: float, high: float) -> _Rule:
    return _Rule(lambda value: low <= value <= high, f"{low} to {high}")


def _match(pattern: str, allowed: str) -> _Rule:
    return _Rule(lambda value: re.fullmatch(pattern, value) is not None, allowed)


# x86-64 families only: the images are built for linux/amd64. Graviton carries a g behind its generation (c7g, g5g).
_INSTANCE_TYPE = _match(
    r"ml\.([cmrtg]\d+(?!g)[a-z]*|p\d+(?!e-gb)[a-z]*(-b\d+)?)\.(medium|(\d*x)?large)",
    "an x86-64 type of SageMaker's, such as ml.c7i.xlarge (CPU) or ml.g4dn.xlarge (GPU)",
)
_IMAGE_URI = _match(
    r"(\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+(:[\w.-]+|@sha256:[0-9a-f]{64}))?",
    "empty, or an image in ECR such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/wordsight:1",
)
_BASE_IMAGE = _match(r"([a-z0-9][\w./:@-]*)?", "empty, or an image reference such as python:3.12-slim")

_RULES = {
    "stage": _match("[a-z][a-z0-9]{1,15}", "a short lower-case name such as dev"),
    "endpoint_instance_type": _INSTANCE_TYPE,
    "endpoint_instance_count": _between(1, 100),
    "inference_ami": _one_of(*GPU_AMIS),
    "startup_timeout_s": _between(60, 3600),
    "precision": _one_of("auto", *get_args(Precision)),
    "queue_budget_ms": _between(1, 10_000),
    "autoscaling_max_instances": _between(1, 100),
    "autoscaling_concurrency": _between(0.1, 1000),
    "training_instance_type": _INSTANCE_TYPE,
    "training_instance_count": _between(1, 100),
    "training_volume_gb": _between(10, 16_384),
    "max_run_s": _between(600, 28 * 86_400),
    "max_wait_s": _between(600, 28 * 86_400),
    "batch_concurrency": _between(1, 1000),
    "model_id": _match(r"([\w.-]+/[\w.-]+)?", "empty, or owner/name on the Hugging Face hub"),
    "model_revision": _match(r"([0-9a-f]{40})?", "empty, or a commit of 40 hexadecimal digits"),
    "serve_base_image": _BASE_IMAGE,
    "train_base_image": _BASE_IMAGE,
    "serve_image_uri": _IMAGE_URI,
    "train_image_uri": _IMAGE_URI,
    "auth": _one_of(*AUTH_MODES),
    "throttling_rate_rps": _between(0.1, 10_000),
    "throttling_burst": _between(1, 5_000),
    "cors_origins": _Rule(
        lambda origins: all(ORIGIN.fullmatch(origin) for origin in origins),
        "* or origins separated by commas, such as https://example.com, without a path",
    ),
    "log_retention_days": _one_of(*LOG_RETENTION_DAYS),
}


def _faults(config: StageConfig) -> Iterator[str]:
    for name, rule in _RULES.items():
        value = getattr(config, name)
        if not rule.holds(value):
            yield f"{name} is {value!r}, allowed: {rule.allowed}"


def _contradictions(config: StageConfig) -> Iterator[str]:
    if config.spot and config.max_wait_s < config.max_run_s:
        yield f"max_wait_s is {config.max_wait_s}, allowed with spot: max_run_s ({config.max_run_s}) or more"
    impossible = "int8" if config.endpoint_has_gpu else "fp16"
    if config.precision == impossible:
        kind = "a GPU" if config.endpoint_has_gpu else "a CPU"
        allowed = ", ".join(each for each in ("auto", *get_args(Precision)) if each != impossible)
        yield f"precision is {impossible!r}, allowed on {kind} ({config.endpoint_instance_type}): {allowed}"
    if config.exact and config.precision not in ("auto", "fp32"):
        yield f"precision is {config.precision!r}, allowed with exact: fp32 or auto, which is fp32 then"
    if config.autoscaling and config.autoscaling_max_instances < config.endpoint_instance_count:
        yield (
            f"autoscaling_max_instances is {config.autoscaling_max_instances}, "
            f"allowed: endpoint_instance_count ({config.endpoint_instance_count}) or more"
        )
    if bool(config.model_id) != bool(config.model_revision):
        yield (
            f"model_id is {config.model_id!r} and model_revision {config.model_revision!r}: "
            "give both, so that every build bakes in the same weights, or neither"
        )
    if "*" in config.cors_origins and len(config.cors_origins) > 1:
        yield f"cors_origins is {config.cors_origins!r}: * allows every origin already, give it alone"


STAGES = {
    "dev": StageConfig(stage="dev"),
    "prod": StageConfig(
        stage="prod",
        endpoint_instance_type="ml.g4dn.xlarge",
        training_instance_type="ml.g4dn.xlarge",
        auth="iam",
        throttling_rate_rps=50.0,
        throttling_burst=32,
        batch_concurrency=8,
        retain_data=True,
        log_retention_days=90,
    ),
}


def stage_config(stage: str) -> StageConfig:
    """The stage's configuration as written here. Raises ConfigError."""
    if stage not in STAGES:
        raise ConfigError(f"stage is {stage!r}, allowed: {', '.join(STAGES)}")
    return STAGES[stage]


if __name__ == "__main__":
    print(stage_config(sys.argv[1] if len(sys.argv) > 1 else "dev").cost)
