"""What differs between stages, and every knob of a deployment: one frozen, validated `StageConfig` per stage.

    npx cdk deploy --all -c stage=prod -c throttling_rate_rps=200

A value that is not allowed stops synth with a sentence about it. Where the values come from: stacks/stage_files.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import astuple
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from contract.containers import Precision, ServeSettings
from contract.settings import Allowed, Origins, Settings, Switch
from stacks.office_hours import PATTERN, OfficeHours
from stacks.prices import CPU_IMAGES_PER_S, GPU_IMAGES_PER_S, USD_PER_HOUR

Auth = Literal["api_key", "iam", "none"]
Serving = Literal["endpoint", "lambda"]
StackPart = Literal["Data", "Training", "Serving", "Api", "Operations"]
"""The stacks of a stage, in the order in which they are deployed."""

CONFIGURATION_OUTPUT = "Configuration"
"""Of the API's stack: `StageConfig.configuration`, with which the next deployment is compared."""

POWERTOOLS_LAYER_VERSION = 36
"""The public layer that carries aws-lambda-powertools and pydantic at the versions of requirements.txt."""
POWERTOOLS_LAYER = "AWSLambdaPowertoolsPythonV3-python314-arm64"
POWERTOOLS_ACCOUNT = "017000801446"
"""Whose layer it is, in every region that is not in the table below."""
POWERTOOLS_ACCOUNTS = {
    "cn-north-1": "498634801083",
    "us-gov-east-1": "165087284144",
    "us-gov-west-1": "165093116878",
}
"""Layers can't be shared across partitions, so China and GovCloud have copies of other accounts.

https://docs.aws.amazon.com/powertools/python/latest/getting-started/install/#lambda-layer
"""

ENDPOINTS_LOG_GROUP = "/aws/sagemaker/Endpoints"
"""Above the log groups of all endpoints, each named after its own."""
TRAINING_JOBS_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""SageMaker's, shared by all training jobs of the account: written to, never managed."""

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


# x86-64 families only: the images are built for linux/amd64. Graviton carries a g behind its generation (c7g, g5g).
_InstanceType = Annotated[
    str,
    Field(pattern=r"^ml\.([cmrtg]\d+([a-fh-z][a-z]*)?|p\d+[a-z]*(-b\d+)?)\.(medium|(\d*x)?large)$"),
    Allowed("an x86-64 type of SageMaker's, such as ml.c7i.xlarge (CPU) or ml.g4dn.xlarge (GPU)"),
]
_Instances = Annotated[int, Field(ge=1, le=100)]
_RunSeconds = Annotated[int, Field(ge=600, le=28 * 86_400)]
_BaseImage = Annotated[
    str,
    Field(pattern=r"^([a-z0-9][\w./:@-]*)?$"),
    Allowed("empty, or an image reference such as python:3.12-slim"),
]
_REPOSITORY = r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+"
_ImageUri = Annotated[
    str,
    Field(pattern=rf"^({_REPOSITORY}(:[\w.-]+|@sha256:[0-9a-f]{{64}}))?$"),
    Allowed("empty, or an image in ECR such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/wordsight:1"),
]
_Email = Annotated[
    str, Field(pattern=r"^([^\s@,]+@[^\s@,]+\.[^\s@,]+)?$", max_length=254), Allowed("empty, or one address of e-mail")
]
_OfficeHours = Annotated[
    str,
    Field(pattern=PATTERN),
    Allowed('empty, or days, hours and a time zone such as "Mon-Fri 07:00-19:00 Europe/Berlin"'),
]
MIN_IDLE_MIN = 15
"""A new endpoint takes nearly as long to come."""
IDLE_LOOK_MIN = 15
"""How often it is looked whether the endpoint was used: four steps each, which cost 0.3 USD a month in all."""
_Bucket = Annotated[
    str,
    Field(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$"),
    Allowed("empty, or the name of a bucket in the same account and region"),
]


class StageConfig(Settings):
    """Everything that may differ between two deployments of the app. The defaults are the cheap ones of `dev`."""

    model_config = ConfigDict(str_strip_whitespace=True)

    stage: Annotated[str, Field(pattern="^[a-z][a-z0-9]{1,15}$"), Allowed("a short lower-case name such as dev")]

    serving: Serving = "endpoint"
    """What runs the model: instances of SageMaker's, which are paid for while they exist; or a Lambda function, which
    is paid for while it answers, takes smaller images (contract/serving_function.py) and lets the first caller wait
    after a while without any. What is said of instances below counts when the stage goes back to them."""
    function_memory_mb: Annotated[int, Field(ge=2048, le=10_240)] = 3008
    """With `serving` "lambda". Lambda gives a core for every 1,769 MB. A ViT-B/32 needs about 2,500; this is what new
    accounts are said to be allowed, 1.7 cores of it. Not measured on Lambda yet."""
    function_concurrency: Annotated[int, Field(ge=0, le=1000)] = 0
    """With `serving` "lambda": how many may run at once, kept aside for it from what the account may run. It bounds
    what a rush costs; who comes in vain is answered 503. 0: as many as the account allows."""

    endpoint_instance_type: _InstanceType = "ml.c7i.xlarge"
    endpoint_instance_count: _Instances = 1
    inference_ami: Literal["al2023-ami-sagemaker-inference-gpu-4-1", "al2-ami-sagemaker-inference-gpu-3-1"] = (
        "al2023-ami-sagemaker-inference-gpu-4-1"
    )
    """Driver 580 (CUDA 13, what PyPI's torch needs), or 550 (CUDA 12.4, for an image with cu126 wheels). Used by GPU
    instances only; without it SageMaker starts them with a driver too old for any current torch."""
    startup_timeout_s: Annotated[int, Field(ge=60, le=3600)] = 600
    exact: Switch = False
    """Answer what transformers does, to 1e-4: in fp32, from images that are resized its way. About half as fast."""
    precision: Literal["auto", Precision] = "auto"
    """Of the arithmetic: fp16 on GPUs and bf16 on CPUs, or one of these, fp32, or int8 (CPUs only, costs accuracy)."""
    queue_budget_ms: Annotated[int, Field(ge=1, le=10_000)] = ServeSettings.model_fields["queue_budget_ms"].default
    """A request that would wait longer for its turn is answered with 503 and Retry-After at once."""
    autoscaling: Switch = False
    """Turn it off in a deployment of its own before changing `endpoint_instance_type`: SageMaker insists."""
    autoscaling_max_instances: _Instances = 4
    autoscaling_concurrency: Annotated[float, Field(ge=0.1, le=1000)] = 4.0
    """Requests in flight per instance that scaling aims at."""

    office_hours: _OfficeHours = ""
    """When there is an endpoint, such as "Mon-Fri 07:00-19:00 Europe/Berlin": the stage is paused every day at the end,
    and resumed at the beginning of these days. Empty: it is paused and resumed by hand only."""
    pause_after_idle_min: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Pause the stage when its endpoint was asked nothing for so many minutes, 15 or more; 0: never. GET /health asks
    it what the model knows: whoever looks regularly keeps the stage awake."""

    training_instance_type: _InstanceType = "ml.c7i.2xlarge"
    training_instance_count: _Instances = 1
    training_volume_gb: Annotated[int, Field(ge=10, le=16_384)] = 50
    spot: Switch = False
    """Needs its own quota: "<instance type> for spot training job usage"."""
    max_run_s: _RunSeconds = 2 * 3600
    max_wait_s: _RunSeconds = 4 * 3600
    """Waiting for spot capacity and running, together. Used with `spot` only."""

    max_parallel_trainings: Annotated[int, Field(ge=1, le=100)] = 1
    """Of two at once, which begin with what is live, neither is compared with the other. More are refused: 409."""
    max_training_usd_per_month: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """By the price without spot, in a calendar month (UTC); what would cost more is refused: 409. 0: no limit."""

    batch_concurrency: Annotated[int, Field(ge=1, le=1000)] = 2
    """Shards of a batch that are classified at once. More than the endpoint can take only wait for it."""

    model_id: Annotated[
        str, Field(pattern=r"^([\w.-]+/[\w.-]+)?$"), Allowed("empty, or owner/name on the Hugging Face hub")
    ] = ""
    """The CLIP checkpoint baked into the images, from the Hugging Face hub, as CLIPModel or as open_clip saves one;
    empty: the Dockerfile's own default.
    """
    model_revision: Annotated[
        str, Field(pattern="^([0-9a-f]{40})?$"), Allowed("empty, or a commit of 40 hexadecimal digits")
    ] = ""
    commercial: Switch = False
    """Refuse models whose licence is known to allow no commercial use: `model_id` here, and others by the API."""
    serve_base_image: _BaseImage = ""
    """Empty: what suits the instance type (stacks/images.py)."""
    train_base_image: _BaseImage = ""
    serve_image_uri: _ImageUri = ""
    """An image in ECR, pushed before: no Docker is needed to deploy then."""
    train_image_uri: _ImageUri = ""

    auth: Auth = "api_key"
    """What callers show: a key, of which the kind decides what it opens, or a signature with AWS credentials. "none":
    whoever reaches the API may ask; all that costs, changes or destroys takes a signature all the same."""
    throttling_rate_rps: Annotated[float, Field(ge=0.1, le=10_000)] = 50.0
    """What may be asked of one route. API Gateway counts each method of the stage by itself, and with `auth` "api_key"
    also each key over all routes. The endpoint is the real limit, so it grows with type and count of instances: two
    cores answer 80 images per second (benchmarks/zen5/serving.md). Who asks for one image after the other never meets
    it.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html"""
    throttling_burst: Annotated[int, Field(ge=1, le=5_000)] = 50
    """How many may come at once, counted in the same way; who would wait too long (QUEUE_BUDGET_MS) the endpoint
    refuses itself."""
    cors_origins: Annotated[
        Origins, Allowed("* or origins separated by commas, such as https://example.com, without a path")
    ] = ()
    api_logging: Literal["create", "existing", "off"] = "create"
    """API Gateway writes logs with one role, which is a setting of the account and region. "create" makes a role and
    puts it there, in place of one that other APIs may use; "existing" leaves the one that is there, without which the
    deployment fails; "off" logs no requests, and needs none."""
    detailed_metrics: Switch = False
    """Metrics of every method of the API, each billed as a custom metric; those of the whole API are there anyway."""

    alarm_email: _Email = ""
    """Whom alarms and the budget mail. AWS asks the address once whether it wants that. Empty: what rings is shown on
    the dashboard, and nobody is told."""
    monthly_budget_usd: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """What it may cost: at 80 % `alarm_email` is told, at 100 % the stage is paused, too. 0: no budget. AWS counts by
    the tags `application` and `stage`, once they are activated for cost allocation, and some hours late."""

    retain_data: Switch = False
    """Keep the buckets when the stacks are destroyed; otherwise they go, with all objects in them."""
    termination_protection: Switch = False
    """CloudFormation refuses to delete any of the stacks until somebody switches this off."""
    data_bucket: _Bucket = ""
    """Adopt this bucket as the data bucket instead of making one: one that a destroy has kept. Nothing about it is
    changed, and no destroy removes it: policy, encryption, lifecycle, versioning and CORS stay what an earlier
    deployment gave it, so that other `cors_origins` have to be set on it by hand. Never name a bucket that the stage's
    own stack still holds, which `make preflight` refuses: the stack would give it up, and where `retain_data` is false
    empty and delete it."""
    artifacts_bucket: _Bucket = ""
    """The same for the artifacts bucket, with models and their registry."""
    log_retention_days: int = 14

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        faults = []
        if self.log_retention_days not in LOG_RETENTION_DAYS:
            faults.append(
                f"log_retention_days is {self.log_retention_days}, allowed: {', '.join(map(str, LOG_RETENTION_DAYS))}"
            )
        if self.spot and self.max_wait_s < self.max_run_s:
            faults.append(f"max_wait_s is {self.max_wait_s}, allowed with spot: max_run_s ({self.max_run_s}) or more")
        if self.max_training_usd_per_month and self.training_instance_type not in USD_PER_HOUR:
            faults.append(
                f"max_training_usd_per_month is {self.max_training_usd_per_month:g}, allowed with "
                f"{self.training_instance_type}, whose price is not known here: 0. Prices are known of "
                f"{', '.join(USD_PER_HOUR)}"
            )
        faults += self._of_another_tier()
        impossible = "int8" if self.endpoint_has_gpu else "fp16"
        if self.serving == "endpoint" and self.precision == impossible:
            kind = "a GPU" if self.endpoint_has_gpu else "a CPU"
            allowed = ", ".join(each for each in ("auto", *get_args(Precision)) if each != impossible)
            faults.append(f"precision is {impossible!r}, allowed on {kind} ({self.endpoint_instance_type}): {allowed}")
        if self.exact and self.precision not in ("auto", "fp32"):
            faults.append(f"precision is {self.precision!r}, allowed with exact: fp32 or auto, which is fp32 then")
        if self.autoscaling and self.autoscaling_max_instances < self.endpoint_instance_count:
            faults.append(
                f"autoscaling_max_instances is {self.autoscaling_max_instances}, "
                f"allowed: endpoint_instance_count ({self.endpoint_instance_count}) or more"
            )
        if bool(self.model_id) != bool(self.model_revision):
            faults.append(
                f"model_id is {self.model_id!r} and model_revision {self.model_revision!r}: "
                "give both, so that every build bakes in the same weights, or neither. make preflight "
                f"STAGE={self.stage} looks the newest revision up and writes it into the stage's file"
            )
        if 0 < self.pause_after_idle_min < MIN_IDLE_MIN:
            allowed = f"0, or {MIN_IDLE_MIN} and more: so long a resume may take"
            faults.append(f"pause_after_idle_min is {self.pause_after_idle_min}, allowed: {allowed}")
        try:
            OfficeHours.read(self.office_hours)
        except ValueError as error:
            faults.append(f"office_hours is {self.office_hours!r}: {error}")
        if "*" in self.cors_origins and len(self.cors_origins) > 1:
            faults.append(f"cors_origins is {self.cors_origins!r}: * allows every origin already, give it alone")
        if self.data_bucket and self.data_bucket == self.artifacts_bucket:
            faults.append(
                f"data_bucket and artifacts_bucket are both {self.data_bucket!r}: give two, as what may be read and "
                "written in the one may not in the other"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _of_another_tier(self) -> list[str]:
        """What is set and can mean nothing with what runs the model."""
        if self.serving == "endpoint":
            return []
        no_instances = {
            "autoscaling": (self.autoscaling, "false, as Lambda scales by itself"),
            "office_hours": (self.office_hours, "empty, as nothing is paid while nobody asks"),
            "pause_after_idle_min": (self.pause_after_idle_min, "0, as nothing is paid while nobody asks"),
        }
        faults = [
            f"{name} is {value!r}, allowed with serving=lambda: {allowed}"
            for name, (value, allowed) in no_instances.items()
            if value
        ]
        if self.precision not in ("auto", "fp32"):
            faults.append(
                f"precision is {self.precision!r}, allowed with serving=lambda: auto or fp32, as Lambda lets nobody "
                "choose a processor that computes it"
            )
        return faults

    @classmethod
    def _sentence(cls, fault: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        if not fault["loc"]:
            return super()._sentence(fault, values)
        name = fault["loc"][0]
        if fault["type"] == "extra_forbidden":
            guess = get_close_matches(name, cls.model_fields, n=1)
            hint = f"did you mean {guess[0]}?" if guess else f"allowed: {', '.join(cls.model_fields)}"
            return f"there is no setting {name!r}: {hint}"
        field = cls.model_fields[name]
        allowed = (
            {"int": "a whole number", "float": "a number", "bool": "true, false"}.get(fault["type"].partition("_")[0])
            or cls._allowed(name)
            or ", ".join(map(str, get_args(field.annotation)))  # of a Literal
            or " to ".join(str(bound) for limit in field.metadata for bound in astuple(limit))  # ge and le
        )
        return f"{name} is {values.get(name)!r}, allowed: {allowed}"

    @property
    def name(self) -> str:
        """The prefix of everything that carries a physical name: the endpoint and its training jobs."""
        return f"wordsight-{self.stage}"

    def stack_name(self, part: StackPart) -> str:
        """The name of one of the stage's stacks: whoever only names it need not wait for it to exist."""
        return f"Wordsight{part}-{self.stage}"

    @property
    def serving_stack_name(self) -> str:
        """The stack that serves: those that update it know it by its name only."""
        return self.stack_name("Serving")

    @property
    def endpoint_log_group(self) -> str:
        """Where the endpoint's containers write. SageMaker names it, and no stack has it."""
        return f"{ENDPOINTS_LOG_GROUP}/{self.name}"

    @property
    def tags(self) -> dict[str, str]:
        """What everything that costs carries, so that a bill can be read by application and stage."""
        return {"application": "wordsight", "stage": self.stage}

    @property
    def endpoint_has_gpu(self) -> bool:
        """Lambda has none."""
        return self.serving == "endpoint" and _has_gpu(self.endpoint_instance_type)

    @property
    def endpoint_usd_per_hour(self) -> float | None:
        """Of what runs the model, asked or not; None for a type whose price is not known."""
        if self.serving == "lambda":
            return 0.0
        price = USD_PER_HOUR.get(self.endpoint_instance_type)
        return None if price is None else price * self.endpoint_instance_count

    @property
    def training_has_gpu(self) -> bool:
        return _has_gpu(self.training_instance_type)

    @property
    def training_images_per_s(self) -> float:
        """How many images of a ViT-B/32 a machine for training is assumed to learn from, before one was measured."""
        return GPU_IMAGES_PER_S if self.training_has_gpu else CPU_IMAGES_PER_S

    @property
    def configuration(self) -> str:
        """Compact JSON of the knobs that differ from their defaults, as a deployment remembers it."""
        return json.dumps(
            self.model_dump(exclude={"stage"}, exclude_defaults=True), sort_keys=True, separators=(",", ":")
        )

    def changes_from(self, deployed_json: str) -> list[str]:
        """What a deployment of this would change, one line per knob. `deployed_json`: the `configuration` of before.

        Knobs that it lacks have their defaults there, and those that no longer exist are left out.
        """
        defaults, deployed = type(self)(stage=self.stage), json.loads(deployed_json)
        return [
            f"{name}: {_shown(before)} is deployed, this sets {_shown(value)}"
            for name, value in _plain(self).items()
            if (before := deployed.get(name, _plain(defaults)[name])) != value
        ]


def _has_gpu(instance_type: str) -> bool:
    return bool(re.match(r"ml\.[gp]\d", instance_type))


def _plain(config: StageConfig) -> dict[str, Any]:
    """Its knobs as they are once they have been JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(config.model_dump(exclude={"stage"})))
    return plain


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
