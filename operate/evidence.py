"""What a deployed stage shows of a failure: stacks, endpoint, logs, references, training jobs, executions, alarms.

Only what concerns the present state counts: the first failure of a stack's last operation, the log of the containers
that it started, the newest execution that is over. Nothing is changed.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError

from operate.causes import BOOTSTRAP_PARAMETER, Evidence, Subject
from operate.stage import Stage, paused_since
from stacks.config import TRAINING_JOBS_LOG_GROUP, StackPart

TAIL_LINES = 20
STATE_MACHINE = "AWS::StepFunctions::StateMachine"
BUCKET_OUTPUTS = {"DATA_BUCKET": "DataBucketName", "ARTIFACTS_BUCKET": "ArtifactsBucketName"}
"""What functions are told in their environment, and the output of the data stack that says it."""

_SOUND = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_BEGUN = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS")
_ENDED_BADLY = ("FAILED", "TIMED_OUT")
_CANCELLED = re.compile(r"(creation|update|deletion) cancelled", re.IGNORECASE)
_BUCKET_ARN = re.compile(r"arn:[^:]+:s3:::([^/*]+)")
_MACHINE_ARN = re.compile(r"arn:[^:]+:states:[^:]+:\d+:stateMachine:[\w-]+")
_ABSENT = re.compile(r"could not find|does not exist|not found|cannot be found|NoSuch|ResourceNotFound", re.IGNORECASE)


@dataclass
class Observation:
    """All that was seen of a stage."""

    account: str = ""
    region: str = ""
    states: dict[str, str] = field(default_factory=dict)
    """Of the stacks and the endpoint, by their names."""
    subjects: list[Subject] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """What could not be looked at, and why."""

    @contextlib.contextmanager
    def looking_at(self, what: str) -> Iterator[None]:
        """What AWS refuses to show, or does not know here, is noted and left out."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            self.unseen.append(f"{what}: {said(error)}")


def said(error: ClientError | BotoCoreError) -> str:
    """An error of AWS's as `code: message`."""
    if isinstance(error, ClientError):
        fault = error.response["Error"]
        return f"{fault.get('Code', '')}: {fault.get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def is_absent(error: ClientError) -> bool:
    """Whether an error says that there is no such thing."""
    return error.response["Error"].get("Code") == "404" or bool(_ABSENT.search(said(error)))


def gather(stage: Stage) -> Observation:
    """Look at everything. Raises nothing for what AWS refuses: see `unseen`."""
    seen = Observation()
    try:
        seen.region = stage.connect("cloudformation").meta.region_name
        seen.account = stage.connect("sts").get_caller_identity()["Account"]
    except (ClientError, BotoCoreError) as error:
        seen.subjects.append(Subject("credentials", (Evidence("account", "this shell", said(error)),)))
        return seen
    with seen.looking_at("the bootstrap's version"):
        seen.subjects.append(Subject("bootstrap", tuple(_bootstrap(stage))))
    missing = []
    for part in get_args(StackPart):
        name = stage.config.stack_name(part)
        with seen.looking_at(name):
            stack = stage.stack(part)
            seen.states[name] = stack["StackStatus"] if stack else "not deployed"
            if stack is None:
                missing.append(Evidence("stack", name, f"{name} is not deployed"))
                continue
            events = Events(stage, stack["StackId"])
            found = list(_stack(stack, events))
            if part == "Serving":
                seen.subjects.append(_serving(stage, seen, found, events))
            else:
                seen.subjects.append(Subject(name, tuple(found)))
    seen.subjects.append(Subject("stacks that are missing", tuple(missing)))
    with seen.looking_at("what functions and policies refer to"):
        seen.subjects.append(Subject("references", tuple(_stale_references(stage))))
    with seen.looking_at("executions"):
        seen.subjects.extend(_machines(stage, seen))
    with seen.looking_at("alarms"):
        seen.subjects.append(Subject("alarms", tuple(_alarms(stage))))
    denied = (Evidence("account", "this shell", each) for each in seen.unseen if "AccessDenied" in each)
    seen.subjects.append(Subject("permissions", tuple(denied)))
    return seen


class Events:
    """What happened to a stack since its last operation began."""

    def __init__(self, stage: Stage, stack_id: str) -> None:
        self._stage, self._stack_id = stage, stack_id
        self._read: list[dict[str, Any]] | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Oldest first."""
        if self._read is None:
            self._read = list(self._last_operation())[::-1]
        return iter(self._read)

    def _last_operation(self) -> Iterator[dict[str, Any]]:
        pages = self._stage.connect("cloudformation").get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=self._stack_id):
            for event in page["StackEvents"]:
                yield event
                if event.get("PhysicalResourceId") == self._stack_id and event["ResourceStatus"] in _BEGUN:
                    return

    @property
    def began(self) -> datetime | None:
        return next((event["Timestamp"] for event in self), None)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Of resources, without those that were only cancelled when another had failed."""
        of_resources = (event for event in self if event["ResourceType"] != "AWS::CloudFormation::Stack")
        failed = (event for event in of_resources if event["ResourceStatus"].endswith("_FAILED"))
        return [event for event in failed if not _CANCELLED.search(event.get("ResourceStatusReason", ""))]


def _bootstrap(stage: Stage) -> Iterator[Evidence]:
    ssm = stage.connect("ssm")
    try:
        ssm.get_parameter(Name=BOOTSTRAP_PARAMETER)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        yield Evidence("account", "this account and region", f"SSM parameter {BOOTSTRAP_PARAMETER} not found")


def _stack(stack: dict[str, Any], events: Events) -> Iterator[Evidence]:
    name, status, reason = stack["StackName"], stack["StackStatus"], stack.get("StackStatusReason", "")
    because = f": {reason}" if reason else ""
    if status == "REVIEW_IN_PROGRESS":  # a change set that was never executed
        yield Evidence("stack", name, f"{name} is not deployed, its change set was not executed{because}")
    elif status not in _SOUND:
        yield Evidence("stack", name, f"{name} is in {status}{because}")
        first, *others = events.failures or [{}]
        told = [first, *others[-1:]] if status.endswith("_FAILED") else [first]  # the last is of the way back
        for event in filter(None, told):
            yield Evidence("event", f"{name}, {event['LogicalResourceId']}", _reason(event))


def _reason(event: dict[str, Any]) -> str:
    return f"{event['ResourceType']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"


def _serving(stage: Stage, seen: Observation, of_stack: list[Evidence], events: Events) -> Subject:
    """The stack and its endpoint, with the log of the containers that its last operation started."""
    if stage.config.serving == "lambda":
        return _serving_function(stage, seen, of_stack, events)
    config, evidence = stage.config, [*of_stack]
    stack, group = config.serving_stack_name, config.endpoint_log_group
    endpoint = _described(stage)
    seen.states[config.name] = endpoint["EndpointStatus"] if endpoint else "no endpoint"
    since = paused_since(stage)
    if endpoint is None and since:
        how = f"make resume STAGE={config.stage}"
        seen.states[config.name] = f"paused since {since:%Y-%m-%d %H:%M} UTC: {how}"
    elif endpoint is None:
        if not of_stack and stage.physical_ids("Serving", "AWS::SageMaker::Endpoint"):
            evidence.append(Evidence("reference", stack, f"its endpoint {config.name} no longer exists"))
    elif endpoint["EndpointStatus"] != "InService":
        evidence.append(Evidence("endpoint", config.name, f"{config.name} is {endpoint['EndpointStatus']}"))
    else:
        wanted = stage.physical_ids("Serving", "AWS::SageMaker::EndpointConfig").values()
        serves, is_changing = endpoint["EndpointConfigName"], any("_IN_PROGRESS" in each.text for each in of_stack)
        # An ARN has the name in lower case.
        if wanted and not is_changing and serves.lower() not in {each.rpartition("/")[2].lower() for each in wanted}:
            text = f"{config.name} serves the configuration {serves}, and {stack} has {', '.join(wanted)}"
            evidence.append(Evidence("config", config.name, text))
    if evidence and endpoint and (reason := endpoint.get("FailureReason")):
        evidence.append(Evidence("endpoint", config.name, reason))
    about_containers = any(
        each.source in ("config", "endpoint") or each.text.startswith("AWS::SageMaker::Endpoint:") for each in evidence
    )
    tail: list[str] = []
    if about_containers:
        with seen.looking_at(group):
            tail = _tail(stage, group, since=events.began)
    evidence += [Evidence("log", group, line) for line in tail]
    return Subject(stack, tuple(evidence), group, tuple(tail), config.endpoint_has_gpu)


def _serving_function(stage: Stage, seen: Observation, of_stack: list[Evidence], events: Events) -> Subject:
    """The same of a stage whose model is a function."""
    config, evidence, kind = stage.config, [*of_stack], "AWS::Lambda::Function"
    stack, name = config.serving_stack_name, config.name
    group, *_ = (*stage.physical_ids("Serving", "AWS::Logs::LogGroup").values(), "")
    since = paused_since(stage)
    try:
        found = stage.connect("lambda").get_function_configuration(FunctionName=name)
    except ClientError as error:
        if not is_absent(error):
            raise
        found = {}
    sound = {"State": ("Active", "Inactive"), "LastUpdateStatus": ("Successful", "InProgress")}
    for member, values in sound.items():
        if member in found and found[member] not in values:
            reason = found.get(f"{member}Reason", "it says no reason")
            evidence.append(Evidence("endpoint", name, f"the function {name}: {member} is {found[member]}: {reason}"))
    seen.states[name] = found.get("State", "no function")
    if not found and since:
        seen.states[name] = f"paused since {since:%Y-%m-%d %H:%M} UTC: make resume STAGE={config.stage}"
    elif not found and not of_stack and stage.physical_ids("Serving", kind):
        evidence.append(Evidence("reference", stack, f"its function {name} no longer exists"))
    tail: list[str] = []
    if group and any(each.source == "endpoint" or each.text.startswith(f"{kind}:") for each in evidence):
        with seen.looking_at(group):
            tail = _tail(stage, group, since=events.began)
    evidence += [Evidence("log", group, line) for line in tail]
    return Subject(stack, tuple(evidence), group, tuple(tail))


def _described(stage: Stage) -> dict[str, Any] | None:
    sagemaker = stage.connect("sagemaker")
    try:
        return dict(sagemaker.describe_endpoint(EndpointName=stage.config.name))
    except ClientError as error:
        if is_absent(error):
            return None
        raise


def _tail(stage: Stage, group: str, *, since: datetime | None = None, prefix: str = "") -> list[str]:
    """The last lines of the newest stream, of those made `since` or named with `prefix`; none without such a stream."""
    logs = stage.connect("logs")
    chosen = {"logStreamNamePrefix": prefix} if prefix else {"orderBy": "LastEventTime", "descending": True}
    try:
        streams = logs.describe_log_streams(logGroupName=group, **chosen)["logStreams"]
    except ClientError as error:
        if is_absent(error):
            return []
        raise
    oldest_ms = since.timestamp() * 1000 if since else 0
    new = [stream for stream in streams if stream.get("creationTime", 0) >= int(oldest_ms)]
    if not new:
        return []
    newest = max(new, key=lambda stream: stream.get("lastEventTimestamp", 0))["logStreamName"]
    events = logs.get_log_events(logGroupName=group, logStreamName=newest, limit=TAIL_LINES, startFromHead=False)
    return [event["message"].rstrip() for event in events["events"]][-TAIL_LINES:]


def _stale_references(stage: Stage) -> Iterator[Evidence]:
    """Buckets and state machines that functions and roles name, and that are not the stage's."""
    outputs = stage.outputs("Data") if stage.stack("Data") else {}
    if not outputs.keys() >= set(BUCKET_OUTPUTS.values()):
        return  # it has never been complete, and nothing refers to it yet
    buckets = {outputs[output] for output in BUCKET_OUTPUTS.values()}
    for bucket in sorted(buckets):
        try:
            stage.connect("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if not is_absent(error):
                raise
            yield Evidence("reference", stage.config.stack_name("Data"), f"its bucket {bucket} no longer exists")
    parts = get_args(StackPart)
    machines = {arn for part in parts for arn in stage.physical_ids(part, STATE_MACHINE).values()}
    for part in parts:
        stack = stage.config.stack_name(part)
        for logical_id, name in stage.physical_ids(part, "AWS::Lambda::Function").items():
            where = f"{stack}, {logical_id}"
            for variable, value in _environment(stage, name).items():
                if (output := BUCKET_OUTPUTS.get(variable)) and value != outputs[output]:
                    yield Evidence("reference", where, f"{variable} is {value}, the stage's is {outputs[output]}")
                if _MACHINE_ARN.fullmatch(value) and value not in machines:
                    yield Evidence("reference", where, f"{variable} is {value}, which is none of the stage's")
        for logical_id, name in stage.physical_ids(part, "AWS::IAM::Role").items():
            for resource in _granted(stage, name):
                named = _BUCKET_ARN.match(resource)
                foreign = named and named[1] not in buckets and not named[1].startswith("cdk-")
                if foreign or (_MACHINE_ARN.fullmatch(resource) and resource not in machines):
                    yield Evidence("reference", f"{stack}, {logical_id}", f"its policy names {resource}")


def _environment(stage: Stage, function: str) -> dict[str, str]:
    try:
        described = stage.connect("lambda").get_function_configuration(FunctionName=function)
    except ClientError as error:
        if not is_absent(error):
            raise
        return {}
    return dict(described.get("Environment", {}).get("Variables", {}))


def _granted(stage: Stage, role: str) -> Iterator[str]:
    """The resources of a role's inline policies."""
    iam = stage.connect("iam")
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        statements = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            resources = statement.get("Resource", [])
            yield from [resources] if isinstance(resources, str) else resources


def _machines(stage: Stage, seen: Observation) -> Iterator[Subject]:
    """The newest execution of each state machine that is over, and the newest training job."""
    trainings = stage.outputs("Training").get("StateMachineArn") if stage.stack("Training") else None
    for part in get_args(StackPart):
        for logical_id, arn in stage.physical_ids(part, STATE_MACHINE).items():
            where = f"{stage.config.stack_name(part)}, {logical_id}"
            evidence, tail = list(_last_execution(stage, where, arn)), []
            if arn == trainings:
                with seen.looking_at("training jobs"):
                    job = _newest_training_job(stage)
                    if job and job["TrainingJobStatus"] == "Failed":
                        name = job["TrainingJobName"]
                        reason = stage.connect("sagemaker").describe_training_job(TrainingJobName=name)
                        evidence.append(Evidence("job", name, reason.get("FailureReason", "it gives no reason")))
                        tail = _tail(stage, TRAINING_JOBS_LOG_GROUP, prefix=f"{name}/")
                        evidence += [Evidence("job log", name, line) for line in tail]
            yield Subject(where, tuple(evidence), TRAINING_JOBS_LOG_GROUP, tuple(tail))


def _last_execution(stage: Stage, where: str, arn: str) -> Iterable[Evidence]:
    states = stage.connect("stepfunctions")
    executions = states.list_executions(stateMachineArn=arn, maxResults=100)["executions"]
    over = next((each for each in executions if each["status"] not in ("RUNNING", "PENDING_REDRIVE")), None)
    if over is None or over["status"] not in _ENDED_BADLY:
        return []
    told = states.describe_execution(executionArn=over["executionArn"])
    reasons = [told[name] for name in ("error", "cause") if told.get(name)]
    return [Evidence("execution", where, ": ".join([f"{over['name']} {over['status']}", *reasons]))]


def _newest_training_job(stage: Stage) -> dict[str, Any] | None:
    prefix = f"{stage.config.name}-"
    found = stage.connect("sagemaker").list_training_jobs(
        NameContains=prefix, SortBy="CreationTime", SortOrder="Descending", MaxResults=100
    )
    jobs = found["TrainingJobSummaries"]
    return next((dict(job) for job in jobs if job["TrainingJobName"].startswith(prefix)), None)


def _alarms(stage: Stage) -> Iterator[Evidence]:
    names = [
        name for part in get_args(StackPart) for name in stage.physical_ids(part, "AWS::CloudWatch::Alarm").values()
    ]
    if names:
        found = stage.connect("cloudwatch").describe_alarms(AlarmNames=names[:100], StateValue="ALARM")
        for alarm in found["MetricAlarms"]:
            text = f"{alarm.get('AlarmDescription', alarm['AlarmName'])}: {alarm.get('StateReason', '')}"
            yield Evidence("alarm", alarm["AlarmName"], text)
