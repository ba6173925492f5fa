"""What the emulator holds after a deployment: outputs, addresses, states of stacks and endpoint."""

import json
import re
from dataclasses import dataclass
from typing import Any

import boto3

from local.settings import LocalError, LocalSettings

_API_URL = re.compile(r"https://(?P<api>[^.]+)\.execute-api\.[^/]+/(?P<stage>[^/]+)/?")
_LAMBDAS_OWN = re.compile(r"(START|END|REPORT) RequestId: |INIT_START ")
_CDK_PROVIDER = re.compile(r"^/aws/lambda/.*(LogRetention|CustomS3AutoDelete)")

SHELL_NAMES = {
    "DATA_BUCKET": "DataBucketName",
    "ARTIFACTS_BUCKET": "ArtifactsBucketName",
    "STATE_MACHINE_ARN": "StateMachineArn",
}
"""What commands call outputs of the stacks: the names in docs/."""


@dataclass(frozen=True)
class Deployment:
    """The deployed app as a caller needs it."""

    url: str
    """The REST API's stage, without a final slash."""
    api_key: str | None
    """None if the API asks for none."""
    signed: bool
    """Whether requests carry a signature of AWS credentials."""
    endpoint_name: str
    by_function: bool = False
    """Whether a Lambda function stands in the endpoint's place."""

    @property
    def page(self) -> str:
        """The page's address. A fragment is sent to no server: the page takes its key out of it and keeps it."""
        return f"{self.url}/#key={self.api_key}" if self.api_key else f"{self.url}/"


def read_deployment(settings: LocalSettings) -> Deployment:
    """From the stacks' outputs; writes the url and api-key files for scripts."""
    outputs = _outputs(settings)
    address = _API_URL.fullmatch(outputs["ApiUrl"])
    if not address:
        raise LocalError(f"The output ApiUrl is {outputs['ApiUrl']!r}, which is no REST API's address.")
    url = f"{settings.endpoint_url}/_aws/execute-api/{address['api']}/{address['stage']}"
    api_key = None
    if key_id := outputs.get("ApiKeyId"):
        api_key = boto3.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"]
    settings.url_file.write_text(url + "\n")
    settings.api_key_file.write_text((api_key or "") + "\n")
    configuration = json.loads(outputs["Configuration"])
    by_function = configuration.get("serving") == "lambda"
    name = outputs["FunctionName" if by_function else "EndpointName"]
    return Deployment(url, api_key, configuration.get("auth") == "iam", name, by_function)


def shell_variables(settings: LocalSettings) -> dict[str, str]:
    """The outputs that commands need, by their names in a shell; none where nothing is deployed."""
    if not settings.outputs.exists():
        return {}
    outputs = _outputs(settings)
    return {name: outputs[output] for name, output in SHELL_NAMES.items()}


def stacks() -> dict[str, str]:
    """Every stack of the app and its status."""
    pages = boto3.client("cloudformation").get_paginator("describe_stacks").paginate()
    found = (stack for page in pages for stack in page["Stacks"])
    return {stack["StackName"]: stack["StackStatus"] for stack in found if stack["StackName"] != "CDKToolkit"}


def is_healthy(stack_status: str) -> bool:
    """Whether a stack stands: created, updated, or back at its last good state after a failed update."""
    return stack_status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


def endpoint_status(deployed: Deployment) -> str:
    """The endpoint's status, with its failure if it has one, or in the same word that of the function in its place."""
    name = deployed.endpoint_name
    if deployed.by_function:
        state: str = boto3.client("lambda").get_function_configuration(FunctionName=name)["State"]
        return "InService" if state == "Active" else state
    endpoint = boto3.client("sagemaker").describe_endpoint(EndpointName=name)
    reason = endpoint.get("FailureReason")
    return f"{endpoint['EndpointStatus']} (last update failed: {reason})" if reason else endpoint["EndpointStatus"]


def leftovers() -> list[str]:
    """What is left of the app: stacks, and buckets other than the bootstrap's."""
    buckets = [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
    return [*stacks(), *(name for name in buckets if not name.startswith("cdk-"))]


def log_events(since_ms: int, *, everything: bool = False) -> list[dict[str, Any]]:
    """Events of every log group since a time, oldest first, each with its `group`; CDK's own functions left out, and
    unless `everything` is wanted also what Lambda itself writes of every call.
    """
    logs = boto3.client("logs")
    pages = logs.get_paginator("describe_log_groups").paginate()
    names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    events = [
        {**event, "group": group}
        for group in names
        if not _CDK_PROVIDER.search(group)
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms)
        for event in page["events"]
        if everything or not _LAMBDAS_OWN.match(event["message"])
    ]
    return sorted(events, key=lambda event: event["timestamp"])


def _outputs(settings: LocalSettings) -> dict[str, str]:
    stacks = json.loads(settings.outputs.read_text()).values()
    return {name: value for stack in stacks for name, value in stack.items()}
