"""cdk-nag's AwsSolutions rules, and why each finding that remains is right as it is.

    npx cdk synth --quiet -c nag=true

Off by default, so that a rule of a new release never stops a deployment; the tests switch it on.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.batches import BATCHES_PREFIX, SOURCE_PREFIXES
from contract.idempotency import IDEMPOTENCY_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.tasks import TASKS_PREFIX
from contract.trainings import SNAPSHOTS_PREFIX, TRAININGS_PREFIX
from stacks.config import StageConfig
from stacks.data import CHECKPOINTS_PREFIX, TRAINING_PREFIXES

_DATA_ARN = "PublishOutputFnGetAttData666C94C7Arn14D6E0D7"
_ARTIFACTS_ARN = "PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE"
_MACHINE_NAMES = (
    "PublishOutputFnGetAttStateMachine2E01A3A5Name28275593",
    "PublishOutputFnGetAttRolloutMachine2E8C4E9EName479B18E5",
)
"""Outputs that the library makes for references from other stacks: the buckets' ARNs, the names of the machines of
trainings and of promotions."""
_BATCH_MACHINE = "BatchesMachine8B5CD8AA"
"""What the template calls it."""


@dataclass(frozen=True)
class Accepted:
    """Findings of `rules` at or below `path` that stand, and the reason."""

    path: str
    rules: tuple[str, ...]
    reason: str


def check_with_cdk_nag(app: App, config: StageConfig) -> None:
    """Run the rules when `app` is synthesized; a finding that is not accepted fails synth."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    for accepted in _accepted(config):
        construct: IConstruct = app
        for id in accepted.path.split("/"):
            construct = construct.node.find_child(id)
        for rule in accepted.rules:
            Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=accepted.reason))


def _accepted(config: StageConfig) -> Iterator[Accepted]:
    yield from _accepted_in_data(f"WordsightData-{config.stage}")
    yield from _accepted_in_training(f"WordsightTraining-{config.stage}", config)
    yield from _accepted_in_serving(f"WordsightServing-{config.stage}", config)
    yield from _accepted_in_api(f"WordsightApi-{config.stage}", config)


def _accepted_in_data(stack: str) -> Iterator[Accepted]:
    for bucket in ("Data", "Artifacts"):
        yield Accepted(
            f"{stack}/{bucket}",
            ("S1",),
            "the buckets are private and read by three roles of this app only; CloudTrail data events can be switched "
            "on where every read must be on record, without a third bucket that outlives the others",
        )


def _accepted_in_training(stack: str, config: StageConfig) -> Iterator[Accepted]:
    yield Accepted(
        f"{stack}/ExecutionRole",
        (
            *(_objects(config, _DATA_ARN, prefix) for prefix in TRAINING_PREFIXES),
            *(_objects(config, _ARTIFACTS_ARN, prefix) for prefix in (CHECKPOINTS_PREFIX, MODELS_PREFIX)),
            _resource(f"{_arn('logs')}:log-group:/aws/sagemaker/TrainingJobs:*"),
        ),
        "every job reads, writes and logs under names that do not exist before it runs; the prefixes are fixed",
    )
    yield Accepted(f"{stack}/ExecutionRole", (_resource("*"),), _ACTIONS_WITHOUT_RESOURCES)
    yield Accepted(
        f"{stack}/StateMachineRole",
        (_resource(f"{_arn('sagemaker')}:training-job/{config.name}-*"),),
        "every execution names a job of its own; the prefix is this stage's",
    )
    yield Accepted(
        f"{stack}/StateMachineRole",
        (_resource("*"),),
        "log delivery, X-Ray and sagemaker:ListTags are granted for all resources, as Step Functions documents",
    )
    kept = {
        "SnapshotFunction": [(_DATA_ARN, ANNOTATIONS_PREFIX), (_DATA_ARN, SNAPSHOTS_PREFIX)],
        "GateFunction": [(_ARTIFACTS_ARN, prefix) for prefix in _OF_MODELS],
        "Rollout/Function": [(_ARTIFACTS_ARN, prefix) for prefix in _OF_MODELS],
    }
    for function, places in kept.items():
        yield Accepted(
            f"{stack}/{function}Role",
            tuple(_objects(config, bucket, prefix) for bucket, prefix in places),
            "each training and promotion has documents of its own under these prefixes",
        )
        yield Accepted(f"{stack}/{function}Role", (_resource("*"),), "X-Ray's actions know no resources")
    for function in ("GateFunction", "Rollout/Function"):
        yield Accepted(f"{stack}/{function}Role", (_serving_stack(config),), _STACK_IDS)
    yield Accepted(
        f"{stack}/Rollout/MachineRole",
        (_resource("*"),),
        "log delivery and X-Ray are granted for all resources, as Step Functions documents",
    )


def _accepted_in_serving(stack: str, config: StageConfig) -> Iterator[Accepted]:
    log_group = f"{_arn('logs')}:log-group:/aws/sagemaker/Endpoints/{config.name}:*"
    yield Accepted(
        f"{stack}/ExecutionRole",
        (_objects(config, _ARTIFACTS_ARN, MODELS_PREFIX), _resource(log_group)),
        "the endpoint serves any model under this prefix, and each instance logs to a stream of its own",
    )
    yield Accepted(f"{stack}/ExecutionRole", (_resource("*"),), _ACTIONS_WITHOUT_RESOURCES)
    yield Accepted(
        f"{stack}/LogRetentionaae0aa3c5b4d4f87b02d85b201efdd8a",
        (_resource("*"), _resource(log_group), _managed_policy("AWSLambdaBasicExecutionRole")),
        "the library's own function: it sets how long one log group is kept, at deployment only",
    )


def _accepted_in_api(stack: str, config: StageConfig) -> Iterator[Accepted]:
    kept = {
        "Classify": (UPLOADS_PREFIX, TASKS_PREFIX),
        "Annotate": (UPLOADS_PREFIX, TASKS_PREFIX, IDEMPOTENCY_PREFIX, *_OF_ANNOTATIONS),
        "Imports/": (UPLOADS_PREFIX, *_OF_ANNOTATIONS),
        "Batches/": (*SOURCE_PREFIXES, BATCHES_PREFIX),
    }
    for function, prefixes in kept.items():
        yield Accepted(
            f"{stack}/{function}FunctionRole",
            tuple(_objects(config, _DATA_ARN, prefix) for prefix in prefixes),
            "callers name what is kept under these prefixes",
        )
        yield Accepted(f"{stack}/{function}FunctionRole", (_resource("*"),), "X-Ray's actions know no resources")
    for machine in ("Imports", "Batches"):
        yield Accepted(
            f"{stack}/{machine}/MachineRole",
            (_resource("*"),),
            "log delivery and X-Ray are granted for all resources, as Step Functions documents",
        )
    shards_of = f"{_arn('states')}:execution:{_name_in_arn(_BATCH_MACHINE)}"
    yield Accepted(
        f"{stack}/Batches/Machine/DistributedMapPolicy",
        (_resource(f"{shards_of}:*"), _resource(f"{shards_of}/Shards:*")),
        "a distributed map watches and stops its own executions, one per shard, whose names Step Functions makes up",
    )
    yield from _accepted_in_train_function(f"{stack}/TrainFunctionRole", config)
    yield Accepted(
        f"{stack}/Api/CloudWatchRole",
        (_managed_policy("AmazonAPIGatewayPushToCloudWatchLogs"),),
        "the account's one role for API Gateway's logs, with the policy that AWS made for it",
    )
    yield Accepted(
        f"{stack}/Api",
        ("APIG2",),
        "the function checks every request against the contract and says in a sentence what to change; "
        "API Gateway's validator would answer first, and could not read images and forms",
    )
    yield Accepted(
        f"{stack}/Api", ("APIG3",), "no WAF: it costs more than the rest of an idle API, and the stage is throttled"
    )
    yield Accepted(
        f"{stack}/Api",
        ("APIG4", "COG4"),
        "callers are programs: they send an API key or sign with IAM, as the stage's `auth` says. "
        "The page, /health and /openapi.json are open on purpose, and throttled",
    )


def _accepted_in_train_function(role: str, config: StageConfig) -> Iterator[Accepted]:
    yield Accepted(
        role,
        (
            *(_objects(config, _DATA_ARN, prefix) for prefix in _OF_TRAIN_FUNCTION),
            *(_objects(config, _ARTIFACTS_ARN, prefix) for prefix in _OF_MODELS),
            _resource(f"{_arn('sagemaker')}:training-job/{config.name}-*"),
            *(
                _resource(f"{_arn('states')}:execution:{_output(f'WordsightTraining-{config.stage}', name)}:*")
                for name in _MACHINE_NAMES
            ),
            _resource(f"{_arn('states')}:execution:<{_BATCH_MACHINE}.Name>:*"),
        ),
        "every training, model, promotion and batch has a name of its own; the prefixes are this stage's",
    )
    yield Accepted(role, (_serving_stack(config),), _STACK_IDS)
    yield Accepted(role, (_resource("*"),), "X-Ray's actions know no resources")


_OF_ANNOTATIONS = (ANNOTATIONS_PREFIX, IMAGES_PREFIX, IMPORTS_PREFIX)
_OF_TRAIN_FUNCTION = (TRAININGS_PREFIX, BATCHES_PREFIX, TASKS_PREFIX, IDEMPOTENCY_PREFIX)
_OF_MODELS = (MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX)
_STACK_IDS = "a stack's ARN ends with an id that changes when it is made anew; its name is fixed"

_ACTIONS_WITHOUT_RESOURCES = (
    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resources; the latter is held to one namespace"
)


def _resource(arn: str) -> str:
    return f"IAM5[Resource::{arn}]"


def _name_in_arn(machine: str) -> str:
    """A state machine's name, as the library cuts it out of its ARN."""
    return json.dumps({"Fn::Select": [6, {"Fn::Split": [":", {"Ref": machine}]}]}, separators=(",", ":"))


def _managed_policy(name: str) -> str:
    return f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/{name}]"


def _arn(service: str) -> str:
    return f"arn:<AWS::Partition>:{service}:<AWS::Region>:<AWS::AccountId>"


def _serving_stack(config: StageConfig) -> str:
    return _resource(f"{_arn('cloudformation')}:stack/{config.serving_stack_name}/*")


def _objects(config: StageConfig, output: str, prefix: str) -> str:
    """A bucket's objects, as cdk-nag spells a reference to another stack."""
    return _resource(f"{_output(f'WordsightData-{config.stage}', output)}/{prefix}*")


def _output(stack: str, name: str) -> str:
    reference = {"Fn::GetStackOutput": {"StackName": stack, "Region": {"Ref": "AWS::Region"}, "OutputName": name}}
    return json.dumps(reference, separators=(",", ":"))
