"""An AWS account with one deployed stage, as its answers show it: real clients, whose requests and answers botocore
checks against AWS's own descriptions, and never send.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore import xform_name
from botocore.validate import validate_parameters

from operate.stage import Stage
from stacks.config import StageConfig

ACCOUNT, REGION = "123456789012", "eu-west-1"
BEGAN = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
"""When the last operation of every stack began."""
BEFORE, AFTER = BEGAN - timedelta(days=1), BEGAN + timedelta(minutes=5)
NAMES = ("Data", "Training", "Serving", "Api", "Operations")
DATA_BUCKET, ARTIFACTS_BUCKET = "wordsightdata-dev-data7e2128ca-1a2b", "wordsightdata-dev-artifacts2aac-3c4d"
MODEL, FUNCTION_LOG = "wordsight-dev", "WordsightServing-dev-FunctionLogsAE28-7d8e"
ENDPOINT_LOG, JOBS_LOG = "/aws/sagemaker/Endpoints/wordsight-dev", "/aws/sagemaker/TrainingJobs"
FUNCTION, ROLE, CONFIG = "WordsightApi-dev-ClassifyFunction-5e6f", "WordsightApi-dev-Role-7a8b", "EndpointConfig-AbC123"


def machine(name: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


TRAININGS, PROMOTIONS, BATCHES = machine("StateMachine-9c0d"), machine("RolloutMachine-1e2f"), machine("Batches-3a4b")


class Refused(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str) -> None:
        self.answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}


@dataclass
class Account:
    """Healthy as it is made; a test breaks a part of it."""

    status: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NAMES, "UPDATE_COMPLETE"))
    """Of the stacks; one without does not exist."""
    reasons: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[tuple[str, str, str, str]]] = field(default_factory=dict)
    """Of a stack's last operation, oldest first: logical id, type, status, reason."""
    earlier: dict[str, list[tuple[str, str, str, str]]] = field(default_factory=dict)
    """Of the operation before."""
    endpoint: dict[str, str] | None = field(
        default_factory=lambda: {"EndpointStatus": "InService", "EndpointConfigName": CONFIG}
    )
    by_function: bool = False
    """Whether a function runs the model in the endpoint's place, and how it is."""
    function: dict[str, str] | None = None
    streams: dict[str, list[tuple[str, datetime, list[str]]]] = field(default_factory=dict)
    """By log group: name, when it was made, lines."""
    variables: dict[str, str] = field(
        default_factory=lambda: {"DATA_BUCKET": DATA_BUCKET, "TRAINING_MACHINE_ARN": TRAININGS}
    )
    granted: list[str] = field(default_factory=lambda: [f"arn:aws:s3:::{DATA_BUCKET}/uploads/*", BATCHES])
    buckets: set[str] = field(default_factory=lambda: {DATA_BUCKET, ARTIFACTS_BUCKET})
    jobs: list[tuple[str, str, str]] = field(default_factory=list)
    """Newest first: name, status, failure reason."""
    executions: dict[str, list[tuple[str, str, str, str]]] = field(default_factory=dict)
    """By machine, newest first: name, status, error, cause."""
    change_sets: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The one that a stack has, with its status and reason."""
    alarms: dict[str, str] = field(default_factory=dict)
    """Those that are on, with their reason."""
    is_bootstrapped: bool = True
    paused: bool = False
    refusals: dict[str, Refused] = field(default_factory=dict)
    """By operation, such as describe_alarms."""

    def stage(self, **knobs: Any) -> Stage:
        return Stage(StageConfig(stage="dev", **knobs), cache(self.connect))

    def connect(self, service: str) -> Any:
        """From now on the service's client is this account's."""
        _asked[service] = self
        return _client(service)

    def resources(self, part: str) -> list[tuple[str, str, str]]:
        """Logical id, type and physical id."""
        if part == "Serving" and self.by_function:
            return [
                ("Function", "AWS::Lambda::Function", MODEL),
                ("FunctionLogsAE28", "AWS::Logs::LogGroup", FUNCTION_LOG),
            ]
        return {
            "Data": [
                ("Data7E2128CA", "AWS::S3::Bucket", DATA_BUCKET),
                ("Artifacts2AAC", "AWS::S3::Bucket", ARTIFACTS_BUCKET),
            ],
            "Training": [
                ("StateMachine2E01570F", "AWS::StepFunctions::StateMachine", TRAININGS),
                ("RolloutMachine85A7", "AWS::StepFunctions::StateMachine", PROMOTIONS),
            ],
            "Serving": [
                (
                    "EndpointConfig",
                    "AWS::SageMaker::EndpointConfig",
                    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint-config/{CONFIG.lower()}",
                ),
                (
                    "Endpoint",
                    "AWS::SageMaker::Endpoint",
                    f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/wordsight-dev",
                ),
                ("ServerFaults1DDB", "AWS::CloudWatch::Alarm", "WordsightServing-dev-ServerFaults-5c6d"),
            ],
            "Api": [
                ("ClassifyFunction", "AWS::Lambda::Function", FUNCTION),
                ("ClassifyFunctionRole", "AWS::IAM::Role", ROLE),
                ("BatchesMachine36C9", "AWS::StepFunctions::StateMachine", BATCHES),
            ],
            "Operations": [("EndpointSilentF544", "AWS::CloudWatch::Alarm", "wordsight-dev-EndpointSilent")],
        }[part]

    # What AWS answers, by operation.

    def get_caller_identity(self, _: Any) -> Any:
        return {"Account": ACCOUNT}

    def get_parameter(self, asked: Any) -> Any:
        if not self.is_bootstrapped:
            raise Refused("ParameterNotFound", "")
        return {"Parameter": {"Name": asked["Name"], "Value": "33"}}

    def describe_stacks(self, asked: Any) -> Any:
        part = self._part(asked)
        outputs = {
            "Data": {"DataBucketName": DATA_BUCKET, "ArtifactsBucketName": ARTIFACTS_BUCKET},
            "Training": {"StateMachineArn": TRAININGS},
        }.get(part, {})
        if self.status[part] in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "CREATE_FAILED"):
            outputs = {}
        stack = {
            "StackName": f"Wordsight{part}-dev",
            "StackId": stack_id(part),
            "CreationTime": BEFORE,
            "StackStatus": self.status[part],
            "StackStatusReason": self.reasons.get(part, ""),
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            "Parameters": [{"ParameterKey": "Paused", "ParameterValue": "yes"}] if self.paused else [],
        }
        return {"Stacks": [stack]}

    def list_stack_resources(self, asked: Any) -> Any:
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": logical_id,
                    "ResourceType": kind,
                    "PhysicalResourceId": physical_id,
                    "ResourceStatus": "UPDATE_COMPLETE",
                    "LastUpdatedTimestamp": BEGAN,
                }
                for logical_id, kind, physical_id in self.resources(self._part(asked))
            ]
        }

    def describe_stack_events(self, asked: Any) -> Any:
        part = self._part(asked)
        own = (f"Wordsight{part}-dev", "AWS::CloudFormation::Stack")
        begun = "CREATE_IN_PROGRESS" if self.status[part].startswith(("CREATE", "ROLLBACK")) else "UPDATE_IN_PROGRESS"
        happened = [(*own, "CREATE_IN_PROGRESS", "User Initiated"), *self.earlier.get(part, [])]
        happened = [(BEFORE, *each) for each in happened] + [
            (BEGAN, *each) for each in [(*own, begun, "User Initiated"), *self.events.get(part, [])]
        ]
        events = [
            {
                "StackId": stack_id(part),
                "EventId": str(number),
                "StackName": own[0],
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": stack_id(part) if kind == own[1] else "",
                "ResourceType": kind,
                "Timestamp": when,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (when, logical_id, kind, status, reason) in enumerate(happened)
        ]
        return {"StackEvents": events[::-1]}

    def list_change_sets(self, asked: Any) -> Any:
        part = self._part(asked)
        found = [self.change_sets[part]] if part in self.change_sets else []
        return {
            "Summaries": [
                {"ChangeSetName": "cdk-deploy-change-set", "Status": status, "StatusReason": reason}
                for status, reason in found
            ]
        }

    def describe_endpoint(self, asked: Any) -> Any:
        if self.endpoint is None:
            raise Refused("ValidationException", f'Could not find endpoint "{asked["EndpointName"]}".')
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{asked['EndpointName']}"
        times = {"CreationTime": BEFORE, "LastModifiedTime": BEGAN}
        return {"EndpointName": asked["EndpointName"], "EndpointArn": arn, **times, **self.endpoint}

    def describe_log_streams(self, asked: Any) -> Any:
        if asked["logGroupName"] not in self.streams:
            raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
        streams = [
            {"logStreamName": name, "creationTime": milliseconds(made), "lastEventTimestamp": milliseconds(made)}
            for name, made, _ in self.streams[asked["logGroupName"]]
            if name.startswith(asked.get("logStreamNamePrefix", ""))
        ]
        return {"logStreams": streams}

    def get_log_events(self, asked: Any) -> Any:
        streams = {name: lines for name, _, lines in self.streams[asked["logGroupName"]]}
        return {"events": [{"message": f"{line}\n"} for line in streams[asked["logStreamName"]][-asked["limit"] :]]}

    def head_bucket(self, asked: Any) -> Any:
        if asked["Bucket"] not in self.buckets:
            raise Refused("404", "Not Found")
        return {}

    def get_function_configuration(self, asked: Any) -> Any:
        if asked["FunctionName"] == MODEL:
            if self.function is None:
                raise Refused("ResourceNotFoundException", f"Function not found: {MODEL}")
            return {"FunctionName": MODEL, **self.function}
        return {"FunctionName": asked["FunctionName"], "Environment": {"Variables": self.variables}}

    def list_role_policies(self, _: Any) -> Any:
        return {"PolicyNames": ["DefaultPolicy"]}

    def get_role_policy(self, asked: Any) -> Any:
        statements = [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": self.granted},
            {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
        ]
        return {**asked, "PolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": statements})}

    def list_executions(self, asked: Any) -> Any:
        arn = asked["stateMachineArn"]
        executions = [
            {
                "executionArn": f"{arn}:{name}",
                "stateMachineArn": arn,
                "name": name,
                "status": status,
                "startDate": BEGAN,
            }
            for name, status, *_ in self.executions.get(arn, [])
        ]
        return {"executions": executions}

    def describe_execution(self, asked: Any) -> Any:
        arn, _, wanted = asked["executionArn"].rpartition(":")
        name, status, error, cause = next(each for each in self.executions[arn] if each[0] == wanted)
        told = {"executionArn": asked["executionArn"], "stateMachineArn": arn, "name": name, "startDate": BEGAN}
        return {**told, "status": status, "error": error, "cause": cause}

    def list_buckets(self, _: Any) -> Any:
        return {"Buckets": []}

    def get_api_keys(self, _: Any) -> Any:
        return {"items": []}

    def get_usage_plans(self, _: Any) -> Any:
        return {"items": []}

    def list_roles(self, _: Any) -> Any:
        return {"Roles": []}

    def list_training_jobs(self, asked: Any) -> Any:
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/"
        jobs = [
            (name, status)
            for name, status, _ in self.jobs
            if asked["NameContains"] in name and asked.get("StatusEquals", status) == status
        ]
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": name,
                    "TrainingJobArn": f"{arn}{name}",
                    "CreationTime": BEGAN,
                    "TrainingJobStatus": status,
                }
                for name, status in jobs
            ]
        }

    def describe_training_job(self, asked: Any) -> Any:
        name, status, reason = next(job for job in self.jobs if job[0] == asked["TrainingJobName"])
        return {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}",
            "ModelArtifacts": {"S3ModelArtifacts": "s3://nothing/"},
            "TrainingJobStatus": status,
            "SecondaryStatus": status,
            "StoppingCondition": {},
            "CreationTime": BEGAN,
            "FailureReason": reason,
        }

    def describe_alarms(self, asked: Any) -> Any:
        names = [name for name in asked["AlarmNames"] if name in self.alarms]
        description = "The model answers with faults"
        alarms = [
            {"AlarmName": name, "AlarmDescription": description, "StateReason": self.alarms[name]} for name in names
        ]
        return {"MetricAlarms": alarms}

    def _part(self, asked: Any) -> str:
        part = next(part for part in NAMES if f"Wordsight{part}-dev" in asked["StackName"])
        if part not in self.status:
            raise Refused("ValidationError", f"Stack with id {asked['StackName']} does not exist")
        return part


def stack_id(part: str) -> str:
    return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Wordsight{part}-dev/0a1b"


def milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


_asked: dict[str, Account] = {}
"""Whose the client of a service is: it takes longer to make one than to ask it."""


@cache
def _client(service: str) -> Any:
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "test"}
    client = boto3.client(service, region_name=REGION, **keys)
    client.meta.events.register("before-parameter-build", _remember)
    client.meta.events.register("before-call", lambda **call: _answer(_asked[service], **call))
    return client


def _remember(params: Any, context: Any, **_: Any) -> None:
    context["asked"] = params


def _answer(account: Account, model: Any, context: Any, **_: Any) -> tuple[Any, Any]:
    """In place of the request."""
    operation = xform_name(model.name)
    answer: Callable[[Any], Any] = getattr(account, operation)
    try:
        if operation in account.refusals:
            raise account.refusals[operation]
        answered = answer(context["asked"])
    except Refused as error:
        return SimpleNamespace(status_code=400), error.answer
    if model.output_shape:
        validate_parameters(answered, model.output_shape)
    return SimpleNamespace(status_code=200), {**answered, "ResponseMetadata": {"HTTPStatusCode": 200}}
