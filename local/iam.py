"""IAM in the emulator: what the deployed policies don't allow is refused, and every decision is written down.

ministack has an engine of its own, which `AUTH=true` switches on: requests are signed, every function has the
credentials of its role, and each request is held against that role's policies as CloudFormation made them. Added here
are SageMaker's actions and resources, what S3 and CloudFormation ask for beside the action itself, and what services
call with a role where no request shows it (`permissions.py`). A request that no action is known for is refused too.

CDK's own roles, of its bootstrap and its custom resources, are let through: their policies are not this app's.
"""

import contextlib
import contextvars
import hashlib
import json
import re
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import cloudformation, lambda_svc, s3, sts
from ministack.services import iam as roles

from local.permissions import MOMENTS, Decision, Denied
from local.s3 import S3Client
from local.settings import ACCOUNT, REGION, SECRET

OURS = re.compile(r"^Wordsight(?!.*(LogRetention|CustomS3AutoDelete|CloudWatchRole))")
"""Role names that are held to their policies."""

UNMAPPED = "Unmapped"
"""Stands for the action of a request that none is known for. No policy allows it."""

SSM_TYPE = "AWS::SSM::Parameter::"


class Engine:
    """ministack's evaluator, which writes each of its decisions to `log` once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._known: set[str] = set()
        self._writing = threading.Lock()
        self._roles_of_changes: dict[str, str] = {}

    def imply(self, moment: str, role_arn: str, **known: str) -> None:
        """Permissions.imply."""
        role = role_name(role_arn)
        if not OURS.match(role):
            return
        values = {"account": ACCOUNT, "region": REGION, **known}
        if not trusts(role_arn, MOMENTS[moment].service):
            raise Denied(self.record(role, "sts:AssumeRole", role_arn, False, moment, {}).sentence)
        decisions = [
            self._decide(
                *(role, action, calls.resource.format(**values), moment),
                {key.lower(): value.format(**values) for key, value in calls.context.items()},
            )
            for calls in MOMENTS[moment].calls
            for action in calls.actions
        ]
        if denied := next((decision for decision in decisions if not decision.allowed), None):
            raise Denied(denied.sentence)

    def credentials(self, role_arn: str) -> dict[str, str]:
        """Permissions.credentials."""
        name = role_name(role_arn)
        key = "ASIA" + hashlib.sha256(name.encode()).hexdigest()[:16].upper()
        session = {"Arn": _session_arn(name, "SageMaker"), "UserId": f"{name}:SageMaker"}
        sts.register_session(key, {**session, "SecretAccessKey": SECRET, "SessionToken": SECRET})
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SECRET}

    def s3(self, role_arn: str) -> S3Client:
        """Permissions.s3."""
        given = {name.lower(): value for name, value in self.credentials(role_arn).items()}
        client: S3Client = boto3.client("s3", **given)
        return client

    def role_of_change(self, stack: str) -> str:
        """Permissions.role_of_change."""
        return self._roles_of_changes.get(stack, "")

    def note_change(self, change: Mapping[str, str]) -> None:
        """Remember the role of a request to CloudFormation: a stack keeps its last one for requests that name none."""
        if "StackName" in change and "RoleARN" in change:
            self._roles_of_changes[_stack_name(change["StackName"])] = change["RoleARN"]

    def _decide(self, role: str, action: str, resource: str, because: str, context: Mapping[str, Any]) -> Decision:
        policies = iam_evaluator._gather_role_policies(role, ACCOUNT)
        keys = {"aws:tagkeys": None, **context}
        asked = iam_evaluator.EvalContext(
            *(_session_arn(role, "service"), "AssumedRole", ACCOUNT, action, resource, REGION),
            secure_transport=True,
            service_context=keys,
        )
        allowed = iam_evaluator.evaluate(asked, policies).decision == "Allow"
        return self.record(role, action, resource, allowed, because, context)

    def record(
        self, role: str, action: str, resource: str, allowed: bool, because: str, context: Mapping[str, Any]
    ) -> Decision:
        """Write a decision down, unless it is known."""
        named = _condition_keys(role)
        kept = {key: value for key, value in sorted(context.items()) if key.lower() in named and value is not None}
        decision = Decision(role, action, resource, allowed, because, kept)
        line = json.dumps(asdict(decision))
        with self._writing:
            if line not in self._known:
                self._known.add(line)
                with self._log.open("a") as log:
                    log.write(line + "\n")
        return decision


def role_name(role_arn: str) -> str:
    return role_arn.rpartition("/")[2]


def extend(engine: Engine) -> None:
    """Let ministack ask and tell `engine`."""
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    iam_actions.extract_iam_action = partial(_action, iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = partial(_resource, iam_actions.extract_resource_arn)
    iam_actions.s3_additional_checks = partial(_s3_checks, iam_actions.s3_additional_checks)
    iam_evaluator.enforce = partial(_enforce, iam_evaluator.enforce, engine)
    run = lambda_svc._execute_function_with_config_scope
    lambda_svc._execute_function_with_config_scope = partial(_run_function, run, engine)
    # What comes to 127.0.0.1 is as private as TLS, and bucket policies deny what is not.
    pin_request_origin = app.pin_request_origin
    app.pin_request_origin = lambda client, over_tls: pin_request_origin(client, True)


def _run_function(inner: Any, engine: Engine, function: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
    """A function that may not log or trace runs all the same, as on AWS: only the decision tells."""
    config = function["config"]
    group = config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    with contextlib.suppress(Denied):
        engine.imply("a function runs", config["Role"], log_group=group)
        if config.get("TracingConfig", {}).get("Mode") == "Active":
            engine.imply("a function is traced", config["Role"])
    return inner(function, *arguments, **options)


_stack_change: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("stack_change")
"""The members of the CloudFormation request that is being authorized."""


def _action(inner: Any, service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str:
    if service == "sagemaker" and path.endswith("/invocations"):
        return "sagemaker:InvokeEndpoint"
    found: str | None = inner(service, method, path, headers, body, query)
    return found or f"{service}:{UNMAPPED}"


def _resource(inner: Any, service: str, method: str, path: str, headers: Any, body: bytes, *others: Any) -> str:
    if service == "sagemaker":
        return _sagemaker_arn(path, body)
    if service == "monitoring" and (alarms := _alarms(body)):
        return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarms[0]}"
    if service == "cloudformation":
        _stack_change.set(dict(urllib.parse.parse_qsl(body.decode())))
    return urllib.parse.unquote(inner(service, method, path, headers, body, *others))


def _alarms(body: bytes) -> list[str]:
    """Of a request that names some in JSON, as boto3 sends it: ministack reads names of forms only."""
    said = json.loads(body) if body.startswith(b"{") else {}
    names: list[str] = said.get("AlarmNames", [])
    return names


def _sagemaker_arn(path: str, body: bytes) -> str:
    said = {"EndpointName": path.split("/")[2]} if path.endswith("/invocations") else json.loads(body or b"{}")
    for member, kind in (("EndpointName", "endpoint"), ("TrainingJobName", "training-job")):
        if member in said:
            return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{said[member]}"
    return "*"


def _s3_checks(inner: Any, method: str, path: str, headers: Any, body: bytes, query: Any) -> list[tuple[str, str]]:
    """A write with If-Match reads the object, too.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    checks = list(inner(method, path, headers, body, query))
    condition = next((value for name, value in headers.items() if name.lower() == "if-match"), None)
    if method in ("PUT", "DELETE") and condition not in (None, "*"):
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        checks.append(("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"))
    return checks


def _enforce(inner: Any, engine: Engine, access_key: str, action: str, *others: Any, **more: Any) -> Any:
    """Authorize one request; a change of a stack that is let through may bring the role that it is made with."""
    refused = _judge(inner, engine, access_key, action, *others, **more)
    if refused is None and action.startswith("cloudformation:"):
        engine.note_change(_stack_change.get({}))
    return refused


def _judge(
    inner: Any,
    engine: Engine,
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Mapping[str, Any] | None = None,
) -> Any:
    """What ministack says of one request, written down if one of the app's roles has sent it."""
    principal = str((sts._sessions.get(access_key) or {}).get("Arn", ""))
    role = principal.split("/")[1] if ":assumed-role/" in principal else ""
    if role and not OURS.match(role):
        return None

    def asked(action: str, resource: str, context: Mapping[str, Any]) -> Any:
        refused = inner(access_key, action, service, region, resource_arn=resource, service_context=dict(context))
        if role:
            engine.record(role, action, resource, refused is None, service, context)
        return refused

    if not role or action not in ("cloudformation:UpdateStack", "cloudformation:CreateChangeSet"):
        refused = asked(action, resource_arn, service_context or {})
        if role and action == "s3:GetObject" and refused is None and not _is_there(resource_arn):
            # S3 tells that there is no such key only to whoever may list the bucket:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            refused = asked("s3:ListBucket", resource_arn.partition("/")[0], {})
        return refused
    change = _stack_change.get()
    role_arn = change.get("RoleARN")
    refused = asked(action, resource_arn, {**(service_context or {}), "cloudformation:RoleArn": role_arn})
    if refused is None and role_arn:
        refused = asked("iam:PassRole", role_arn, {"iam:PassedToService": "cloudformation.amazonaws.com"})
        for other in sorted(_stacks_read(_template(change["StackName"]))):
            try:
                engine.imply("a stack reads another one's outputs", role_arn, stack=other)
            except Denied:
                refused = iam_evaluator.EvalResult("ImplicitDeny", principal_arn=role_arn)
    for parameter in _ssm_parameters(change["StackName"]):
        # The caller's own rights resolve them: https://github.com/aws/aws-cdk/issues/10083
        refused = refused or asked("ssm:GetParameters", _parameter_arn(parameter), {})
    return refused


def _is_there(object_arn: str) -> bool:
    bucket, _, key = object_arn.removeprefix("arn:aws:s3:::").partition("/")
    return key in (s3._buckets.get(bucket) or {"objects": ()})["objects"]


def _ssm_parameters(stack_name: str) -> list[str]:
    """Those of Parameter Store that a deployed stack's template names."""
    parameters = _template(stack_name).get("Parameters", {}).values()
    return [each["Default"] for each in parameters if str(each.get("Type")).startswith(SSM_TYPE) and "Default" in each]


def _template(stack_name: str) -> dict[str, Any]:
    template: dict[str, Any] = (cloudformation._stacks.get(_stack_name(stack_name)) or {}).get("_template", {})
    return template


def _stacks_read(template: Any) -> set[str]:
    """The stacks whose outputs a template takes, by name."""
    match template:
        case {"Fn::GetStackOutput": {"StackName": str(name)}}:
            return {name}
        case dict():
            return set().union(*map(_stacks_read, template.values()))
        case list():
            return set().union(*map(_stacks_read, template))
    return set()


def _stack_name(name_or_arn: str) -> str:
    return name_or_arn.split("/")[1] if "/" in name_or_arn else name_or_arn


def _parameter_arn(name: str) -> str:
    return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.lstrip('/')}"


def _session_arn(role: str, session: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"


def _condition_keys(role: str) -> set[str]:
    """Those that the role's policies name, in lower case."""
    statements = (each for policy in iam_evaluator._gather_role_policies(role, ACCOUNT) for each in policy)
    return {key.lower() for each in statements for keys in each.conditions.values() for key in keys}


def trusts(role_arn: str, service: str) -> bool:
    """Whether the role may be taken by `service`, such as "lambda"."""
    role = roles._roles.get_scoped(ACCOUNT, None, role_name(role_arn)) or {}
    document = role.get("AssumeRolePolicyDocument") or "{}"
    trust = json.loads(document) if isinstance(document, str) else document
    named = [each.get("Principal", {}).get("Service", []) for each in trust.get("Statement", [])]
    return any(f"{service}.amazonaws.com" in ([name] if isinstance(name, str) else name) for name in named)
