"""AWS accounts that answer what was recorded: real clients of boto3, whose answers have botocore's own shapes."""

import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

Asked = dict[str, Any]
Answer = Mapping[str, Any] | ClientError | Callable[[Asked], "Mapping[str, Any] | ClientError"]
"""What an operation answers, or what makes the answer of its parameters."""

REGION = "eu-central-1"
SESSION = boto3.Session("testing", "testing")
"""One for all, since a session reads the models of the services once."""


def refusal(code: str, message: str = "") -> ClientError:
    """An error as AWS answers it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "recorded")


class Account:
    """`answers` are by service and operation, `ssm.GetParameter`; what is not there no service knows.

    `asked` holds what was asked, in the same words.
    """

    def __init__(self, answers: Mapping[str, Answer], region: str = REGION) -> None:
        self.answers = dict(answers)
        self.region = region
        self.asked: list[tuple[str, Asked]] = []
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def connect(self, service: str) -> Any:
        if service not in self._clients:
            client = self._clients[service] = SESSION.client(service, region_name=self.region)
            client.meta.events.register("before-parameter-build", self._remember)
            client.meta.events.register("before-call", lambda **call: self._answer(service, **call))
        return self._clients[service]

    def _remember(self, params: Asked, context: dict[str, Any], **_: Any) -> None:
        context["recorded"] = dict(params)

    def _answer(self, service: str, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        name = f"{service}.{model.name}"
        with self._lock:
            self.asked.append((name, context["recorded"]))
        answer = self.answers.get(name, refusal("UnknownOperationException", f"{name} is not known here"))
        answer = answer(context["recorded"]) if callable(answer) else answer
        if isinstance(answer, ClientError):
            return SimpleNamespace(status_code=400), dict(answer.response)
        validate_parameters(answer, model.output_shape)
        return SimpleNamespace(status_code=200), dict(answer)


def quota(name: str, value: float) -> dict[str, Any]:
    """As Service Quotas lists one."""
    code = "L-" + f"{abs(hash(name)) % 16**8:08X}"
    return {"QuotaName": name, "QuotaCode": code, "Value": value, "ServiceCode": "sagemaker"}


QUOTAS = {
    "ml.c7i.xlarge for endpoint usage": 4,
    "ml.c7i.2xlarge for training job usage": 4,
    "ml.g4dn.xlarge for endpoint usage": 2,
    "ml.g4dn.xlarge for training job usage": 1,
    "ml.g4dn.xlarge for spot training job usage": 1,
}


def paged(quotas: Mapping[str, float]) -> Callable[[Asked], Mapping[str, Any]]:
    """Quotas in pages of two, as SageMaker's many come in pages of a hundred."""
    listed = [quota("Number of notebook instances", 8), *(quota(name, value) for name, value in quotas.items())]

    def page(asked: Asked) -> Mapping[str, Any]:
        begin = int(asked.get("NextToken", "0"))
        more = {"NextToken": str(begin + 2)} if begin + 2 < len(listed) else {}
        return {"Quotas": listed[begin : begin + 2], **more}

    return page


def not_deployed(asked: Asked) -> ClientError:
    return refusal("ValidationError", f"Stack with id {asked['StackName']} does not exist")


def holds(**resources: tuple[str, str]) -> Callable[[Asked], "Mapping[str, Any] | ClientError"]:
    """A listing of resources: by part of the stage, what one stack holds, as type and physical id."""

    def listed(asked: Asked) -> "Mapping[str, Any] | ClientError":
        part = next((part for part in resources if asked["StackName"].startswith(f"Wordsight{part}-")), None)
        if part is None:
            return not_deployed(asked)
        kind, physical_id = resources[part]
        resource = {"LogicalResourceId": "One", "ResourceType": kind, "PhysicalResourceId": physical_id}
        state = {"ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": "2026-01-01"}
        return {"StackResourceSummaries": [{**resource, **state}]}

    return listed


GOOD: Mapping[str, Answer] = {
    "sts.GetCallerIdentity": {
        "Account": "123456789012",
        "Arn": "arn:aws:sts::123456789012:assumed-role/Developer/ana",
        "UserId": "AROA:ana",
    },
    "ssm.GetParameter": {"Parameter": {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "33"}},
    "service-quotas.ListServiceQuotas": paged(QUOTAS),
    "service-quotas.ListAWSDefaultServiceQuotas": paged({}),
    "lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
    "lambda.GetLayerVersionByArn": {"Version": 36},
    "apigateway.GetAccount": {"cloudwatchRoleArn": "arn:aws:iam::123456789012:role/logs"},
    "cloudformation.DescribeStacks": not_deployed,
    "cloudformation.ListStackResources": not_deployed,
}
"""An account in which everything is ready, and nothing deployed."""
