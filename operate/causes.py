"""Why a stage may be broken: one table of causes, each with the words by which it is known and what to do about it.

    python -m operate.causes > docs/troubleshooting.md

The words are AWS's own, as its users quote them; where they are known to differ by release, by their common part.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contract.endpoint import NO_CAPACITY
from stacks.config import ENDPOINTS_LOG_GROUP, TRAINING_JOBS_LOG_GROUP

BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"

Source = Literal[
    "account",
    "stack",
    "event",
    "config",
    "endpoint",
    "log",
    "reference",
    "job",
    "job log",
    "execution",
    "alarm",
]
"""Where evidence was read: the caller's account, a stack's state and its first failure, the endpoint's configuration
and failure reason, its log, what functions and policies refer to, a training job with its log, an execution, an alarm.
"""


@dataclass(frozen=True)
class Evidence:
    """One line that tells of a failure."""

    source: Source
    where: str
    """What it was said of, such as a resource by its stack and logical id."""
    text: str


@dataclass(frozen=True)
class Subject:
    """What one cause is looked for: a stack, a state machine, the account. Sound if nothing speaks against it."""

    name: str
    evidence: tuple[Evidence, ...] = ()
    log_group: str = ""
    tail: tuple[str, ...] = ()
    """The last lines of `log_group` that concern it, oldest first."""
    has_gpu: bool = False


@dataclass(frozen=True)
class Cause:
    """`seen` and `remedy` are for people; `words` finds the cause in what was said. The remedy may use the names of
    `words`' groups, and {stage} and {endpoint}."""

    key: str
    title: str
    seen: str
    remedy: str
    words: str
    sources: frozenset[Source]
    of_a_silent_gpu: str = ""
    """More words, which count only if a GPU's container has logged nothing."""
    consequence: bool = False
    """What follows from other causes, if there are any."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """What the guide says where the remedy has a name of a group."""

    def find(self, subject: Subject) -> tuple[Evidence, Mapping[str, str]] | None:
        """The first evidence in which this cause can be read, and what its groups have matched."""
        silent = self.of_a_silent_gpu and subject.has_gpu and not subject.tail
        words = f"{self.words}|{self.of_a_silent_gpu}" if silent else self.words
        for evidence in subject.evidence:
            if evidence.source in self.sources and (said := re.search(words, evidence.text, re.IGNORECASE)):
                # AWS's lists have commas, which its CLI does not take.
                named = {name: value.replace(", ", " ") for name, value in said.groupdict().items() if value}
                return evidence, {**self.defaults, **named}
        return None


def _of(*sources: Source) -> frozenset[Source]:
    return frozenset(sources)


_SERVING = _of("event", "endpoint", "log")
_SAID = _of("event", "endpoint", "job", "execution")
_ANY = ".*"

UNKNOWN = Cause(
    "unknown",
    "Something failed for a reason that this table does not have",
    "a failure in none of the words above",
    "Read the line: it is the first failure, what came after it was only cancelled. When it is mended, run it again: "
    "make deploy STAGE={stage}",
    _ANY,
    _of("stack", "event", "endpoint", "job", "execution"),
)

CAUSES = (
    Cause(
        "credentials",
        "AWS does not accept the credentials of this shell",
        "`ExpiredToken`, `InvalidClientTokenId`, `Unable to locate credentials`",
        "Log in again (aws sso login, or new keys), check AWS_PROFILE and AWS_REGION, and look who you are: "
        "aws sts get-caller-identity",
        r"^(?!.*not authorized to perform).*"
        r"(credentials|token|signature|AuthFailure|RequestExpired|AccessKeyId|UnrecognizedClient|SSO|region|profile|connect)",
        _of("account"),
    ),
    Cause(
        "bootstrap",
        "The account and region are not bootstrapped for CDK",
        f"`SSM parameter {BOOTSTRAP_PARAMETER} not found. Has the environment been bootstrapped?`",
        "make bootstrap, once per account and region; check AWS_REGION if it was done elsewhere",
        r"/cdk-bootstrap/",
        _of("account", "stack", "event"),
    ),
    Cause(
        "rollback-failed",
        "An update failed, and so did the way back: the stack takes no further update",
        "a stack in `UPDATE_ROLLBACK_FAILED`",
        "Mend what the line names, then: aws cloudformation continue-update-rollback --stack-name {stack}. "
        "A resource that can't go back is left as it is by --resources-to-skip {resource}. If a promotion began the "
        "update, add --role-arn of the bootstrap's cfn-exec role. Then: "
        "make deploy STAGE={stage}",
        r"(?P<stack>\S+) is in UPDATE_ROLLBACK_FAILED(.*\[(?P<resource>[^\]]+)\])?",
        _of("stack"),
        defaults={"stack": "<stack>", "resource": "<logical id>"},
    ),
    Cause(
        "delete-failed",
        "A stack could not be deleted",
        "a stack in `DELETE_FAILED`",
        "An endpoint can't be deleted while it is created or updated, nor a bucket that is not empty. "
        "Run it again, it waits and empties: make destroy STAGE={stage}",
        r"is in DELETE_FAILED",
        _of("stack"),
    ),
    Cause(
        "silent-rollback",
        "SageMaker went back to the configuration before, though CloudFormation reports success",
        "an endpoint `InService` on another configuration than its stack's",
        "What failed is in the endpoint's FailureReason and log. Mend it, and let CloudFormation update the endpoint "
        "again, with a change that makes a new configuration: make deploy STAGE={stage} "
        'CONTEXT="-c startup_timeout_s=<another value>", or promote the version again',
        _ANY,
        _of("config"),
    ),
    Cause(
        "oci-manifest",
        "The image was pushed with an OCI manifest, which SageMaker does not take",
        "`Unsupported manifest media type application/vnd.oci.image.manifest.v1+json`",
        "Push Docker's format: use buildx with the docker driver, so that --output type=docker and --provenance=false "
        "hold (Docker Desktop: switch off the containerd image store), remove the image's tag in ECR, then "
        "make deploy STAGE={stage}",
        r"Unsupported manifest media type",
        _SAID,
    ),
    Cause(
        "quota",
        "The account's quota does not allow the instances",
        "`The account-level service limit 'ml.g4dn.xlarge for endpoint usage' is 0 Instances`",
        'Ask for more under Service Quotas → Amazon SageMaker → "{quota}": for an endpoint twice its instances, as '
        "an update runs the new fleet beside the old one. Until then take another instance type, or stage dev on a CPU",
        r"account-level service limit '?(for )?(?P<quota>[^']+?)'? is \d+|ResourceLimitExceeded",
        _SAID,
        defaults={"quota": "the quota that the line names"},
    ),
    Cause(
        "capacity",
        "AWS has no such instance free in this region now",
        "`Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error`",
        "Try again in an hour, or take another endpoint_instance_type or training_instance_type, or another region. "
        "It is not a quota, and no mistake of yours",
        NO_CAPACITY.pattern,
        _SAID,
    ),
    Cause(
        "model-data",
        "There is no checkpoint where the stack says that the model is",
        "`Could not find model data at s3://…`",
        "Promote a version that exists (GET /models lists them), or the base model: "
        "POST /models/base/promote. The prefix ends with a slash and holds config.json and model.safetensors",
        r"Could not find model data|Failed to download model data",
        _SAID,
    ),
    Cause(
        "policy-race",
        "SageMaker looked at a role before its policy was in force, or the policy lacks something",
        "`Could not access model data at …`, `… to perform: sts:AssumeRole`",
        "Policies take some seconds to arrive everywhere: make deploy STAGE={stage} again. If it says the same, the "
        "role was changed by hand or an SCP denies it: compare its policy with `make synth STAGE={stage}`",
        r"Could not access model data|sts:AssumeRole|role used to create the model has permissions"
        r"|image was granted pull permission|could not assume role",
        _SAID,
    ),
    Cause(
        "log-group",
        "A log group of that name was left by an earlier deployment",
        "`Resource of type 'AWS::Logs::LogGroup' with identifier … already exists`",
        "Delete it: aws logs delete-log-group --log-group-name {group}. make destroy STAGE={stage} sweeps them all. "
        "Then make deploy STAGE={stage}",
        r'AWS::Logs::LogGroup: (?:.*LogGroupName"?\W+?|.*\s)?(?P<group>[\w/.#-]+)\S* already exists',
        _of("event"),
        defaults={"group": "<the name in the line>"},
    ),
    Cause(
        "api-logs-role",
        "API Gateway has no role in this region with which it may write logs",
        "`CloudWatch Logs role ARN must be set in account settings to enable logging`",
        "The API stack sets one up, which takes a minute to hold: make deploy STAGE={stage} again. If another stack's "
        "role was deleted, set one under API Gateway → Settings",
        r"CloudWatch Logs role ARN must be set",
        _of("event"),
    ),
    Cause(
        "denied",
        "A permission is missing",
        "`… is not authorized to perform: …`, `AccessDenied`",
        "Who the line names lacks the action that it names: your user or role, CDK's cdk-hnb659fds-* roles "
        "(make bootstrap makes them anew), or a role of the stage's, if a boundary or an SCP denies it",
        r"not authorized to perform|AccessDenied|UnauthorizedOperation|explicit deny",
        _of("account", "stack", "event", "endpoint", "job", "execution"),
    ),
    Cause(
        "function-memory",
        "Lambda gives the account less memory than the model's function is to have",
        "`'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008`",
        "Take what the line names, as long as the model fits into it: function_memory_mb={memory}. AWS's support may "
        "give more; or give the model instances: serving=endpoint",
        r"'MemorySize' value failed to satisfy constraint(.*less than or equal to (?P<memory>\d+))?",
        _of("event", "endpoint"),
        defaults={"memory": "3008"},
    ),
    Cause(
        "function-concurrency",
        "Lambda can't keep as much aside for the model's function",
        "`decreases account's UnreservedConcurrentExecution below its minimum value of [100]`",
        "Leave function_concurrency out, or ask for more under Service Quotas → AWS Lambda → Concurrent executions: "
        "make preflight STAGE={stage} has the command",
        r"UnreservedConcurrentExecution below its minimum",
        _of("event", "endpoint"),
    ),
    Cause(
        "function-image",
        "Lambda may not pull the image of the model's function",
        "`Lambda does not have permission to access the ECR image`",
        "The repository's policy has to let lambda.amazonaws.com get images (ecr:BatchGetImage, "
        "ecr:GetDownloadUrlForLayer). That of the CDK's bootstrap does: make bootstrap; of an image of your own "
        "(serve_image_uri) aws ecr set-repository-policy changes it",
        r"does not have permission to access the ECR image",
        _of("event", "endpoint"),
    ),
    Cause(
        "arm64",
        "The image was built for another processor than SageMaker's",
        "`exec format error`",
        "Build for linux/amd64: deploy from this repository, which asks for it, with Docker buildx (on arm64 with "
        "QEMU), or name an x86-64 image by serve_image_uri or train_image_uri",
        r"exec format error",
        _of("event", "endpoint", "log", "job", "job log", "execution"),
    ),
    Cause(
        "driver",
        "The instance's NVIDIA driver is too old for the image's CUDA",
        "`CannotStartContainerError` on a GPU instance, and no log at all; or "
        "`The NVIDIA driver on your system is too old`",
        "Set the endpoint's AMI to one whose driver suits the image: inference_ami="
        "al2023-ami-sagemaker-inference-gpu-4-1 for CUDA 13 (what the image has), "
        "al2-ami-sagemaker-inference-gpu-3-1 for cu126 wheels, on an instance type that has an NVIDIA GPU",
        r"NVIDIA driver on your system is too old|nvidia-container-cli|unsatisfied condition: cuda|a GPU is expected",
        _of("event", "endpoint", "log", "job", "job log"),
        of_a_silent_gpu="CannotStartContainerError",
    ),
    Cause(
        "oom",
        "The endpoint ran out of memory",
        "`CUDA out of memory`, `MemoryError`, `Killed`, exit code 137 in the endpoint's log",
        "Take an instance type with more memory: endpoint_instance_type (for a larger model_id nearly always), then "
        "make deploy STAGE={stage}",
        r"CUDA out of memory|OutOfMemory|\bMemoryError|cannot allocate memory|out of memory|^\s*Killed\s*$"
        r"|SIGKILL|signal 9\b|exit(ed)?( with)?( status| code)?:? '?137\b",
        _SERVING,
    ),
    Cause(
        "training-oom",
        "The training ran out of memory",
        "`CUDA out of memory`, `MemoryError`, exit code 137 of a training job",
        "Train with a smaller batch (hyperparameter batch_size), or on training_instance_type with more memory",
        r"CUDA out of memory|OutOfMemory|\bMemoryError|cannot allocate memory|out of memory|^\s*Killed\s*$"
        r"|instance type with more memory|signal 9\b|exit(ed)?( with)?( status| code)?:? '?137\b",
        _of("job", "job log", "execution"),
    ),
    Cause(
        "ping",
        "The serving container did not become healthy",
        "`did not pass the ping health check`, `CannotStartContainerError`",
        f"The last lines of the endpoint's log say why: aws logs tail {ENDPOINTS_LOG_GROUP}/{{endpoint}} --since 1d. "
        "A large model may need longer: startup_timeout_s. "
        "If the checkpoint can't be loaded they say so: promote another",
        r"did not pass the ping health check|CannotStartContainerError",
        _of("event", "endpoint"),
    ),
    Cause(
        "stale",
        "A part refers to something that no longer exists",
        "a bucket, endpoint or state machine in a function's environment or a role's policy that is not the stage's",
        "Something was deleted by hand, or one stack was made anew alone. Deploy all stacks, so that they learn the "
        "new names: make deploy STAGE={stage}. If that changes nothing, as CloudFormation compares templates only: "
        "make destroy STAGE={stage}, then make deploy STAGE={stage}",
        _ANY,
        _of("reference"),
    ),
    Cause(
        "training-failed",
        "The last training failed",
        "`training job … failed`, an execution that FAILED",
        "The line says why, or the last lines of the job's log do: "
        f"aws logs tail {TRAINING_JOBS_LOG_GROUP} --log-stream-name-prefix {{endpoint}}- --since 1d. "
        "A dataset can be looked at before: "
        "python -m model.data validate. Nothing else is touched by it",
        r"training job|TrainingFailed|TrainingStopped|AlgorithmError|ClientError|NoDataset",
        _of("job", "execution"),
    ),
    Cause(
        "execution-failed",
        "The last execution of a state machine failed",
        "an execution that `FAILED` or `TIMED_OUT`",
        "The line says in which words. GET /batches/{{id}}, /trainings/{{id}}, /models/{{version}} or "
        "/annotations/imports/{{id}} have it too; a batch goes on with POST /batches/{{id}}/resume",
        _ANY,
        _of("execution"),
    ),
    Cause(
        "alarm",
        "An alarm is on",
        "an alarm in state `ALARM`",
        "Its description says what it watches. Look into the endpoint's log: "
        f"aws logs tail {ENDPOINTS_LOG_GROUP}/{{endpoint}} --since 1d. "
        "If it began with a promotion, promote the version before",
        _ANY,
        _of("alarm"),
        consequence=True,
    ),
    Cause(
        "in-progress",
        "A deployment is still running",
        "a stack in `…_IN_PROGRESS`, an endpoint `Creating` or `Updating`",
        "Wait until it is over: an endpoint takes 5 to 15 minutes, and up to an hour where it waits for capacity. "
        "Then ask again: make doctor STAGE={stage}",
        r"_IN_PROGRESS|is (Creating|Updating|SystemUpdating|RollingBack|Deleting)\b",
        _of("stack", "endpoint"),
        consequence=True,
    ),
    Cause(
        "missing",
        "A stack is not deployed in this account and region",
        "no stack of that name",
        "make deploy STAGE={stage}, or check AWS_PROFILE and AWS_REGION if it is deployed elsewhere",
        r"is not deployed",
        _of("stack"),
        consequence=True,
    ),
    UNKNOWN,
)
"""The first that fits a subject is its cause: what explains more comes before what follows from it."""


def as_markdown() -> str:
    """docs/troubleshooting.md."""
    words = {"stage": "dev", "endpoint": "wordsight-dev"}
    parts = [
        "# When a deployment fails\n\n"
        "Why a deployment fails or a stage behaves strangely, and what to do: find what you see.\n\n"
        "`make doctor STAGE=dev` looks at stacks, endpoint, logs, functions, executions and alarms, and names the\n"
        "probable cause, the line in which it was read, and what to do. It changes nothing, and ends with 0 if all is\n"
        "well. These are the causes that it knows, in the order in which it looks for them (`operate/causes.py`).\n"
    ]
    for cause in CAUSES:
        if cause.seen:
            remedy = cause.remedy.format_map({**cause.defaults, **words})
            parts.append(f"## {cause.title}\n\n**You see** {cause.seen}.\n\n**What to do.** {remedy}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(as_markdown(), end="")
