"""SageMaker's API as the emulator serves it: operations by name, invocations, and errors in the API's shape."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local.settings import ACCOUNT, REGION

Record = dict[str, Any]
"""A request or description as the API's own JSON."""

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_ANSWERED_HEADERS = ("content-type", "x-amzn-sagemaker-custom-attributes")


class Answer(NamedTuple):
    """An HTTP answer, in the order in which the emulator's services give it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ApiError(Exception):
    """An error as the API answers it: message, code, HTTP status and further members of its shape."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


async def handle(
    operations: Mapping[str, Callable[[Record], Record]],
    invoke: Callable[[str, bytes, Mapping[str, str]], Answer],
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: object,
) -> Answer:
    """Answer one HTTP request for `sagemaker` or `sagemaker-runtime`; both sign as `sagemaker`."""
    status, said = 200, {"Content-Type": "application/x-amz-json-1.1"}
    try:
        if invocation := _INVOCATION.fullmatch(path):
            answer = await asyncio.to_thread(invoke, invocation[1], body, headers)
            kept = {name: answer.headers[name] for name in _ANSWERED_HEADERS if name in answer.headers}
            return answer._replace(headers=kept)
        target = headers.get("x-amz-target", "").removeprefix("SageMaker.")
        if target not in operations:
            raise ApiError(f"Local mode has no SageMaker {target or path!r}.", "UnknownOperationException")
        members = operations[target](json.loads(body))
    except ApiError as error:
        status, said["x-amzn-errortype"] = error.status, error.code
        members = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
    return Answer(status, said, json.dumps(members).encode())
