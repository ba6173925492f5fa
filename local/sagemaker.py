"""SageMaker's API as the emulator serves it: operations by name, invocations, and errors in the API's shape."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
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
    """An error as the API answers it: HTTP status, code, message and further members of its shape."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def service(
    operations: Mapping[str, Callable[[Record], Record]],
    invoke: Callable[[str, bytes, Mapping[str, str]], Answer],
) -> Callable[..., Awaitable[Answer]]:
    """What answers one HTTP request for `sagemaker` or `sagemaker-runtime`; both sign as `sagemaker`."""

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: object) -> Answer:
        try:
            if invocation := _INVOCATION.fullmatch(path):
                status, said, content = await asyncio.to_thread(invoke, invocation[1], body, headers)
                return Answer(status, {name: said[name] for name in _ANSWERED_HEADERS if name in said}, content)
            target = headers.get("x-amz-target", "").removeprefix("SageMaker.")
            if target not in operations:
                raise ApiError("UnknownOperationException", f"Local mode has no SageMaker {target or path!r}.")
            return _json(200, operations[target](json.loads(body)))
        except ApiError as error:
            members = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
            return _json(error.status, members, {"x-amzn-errortype": error.code})

    return handle


def _json(status: int, members: Record, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        status, {"Content-Type": "application/x-amz-json-1.1", **(headers or {})}, json.dumps(members).encode()
    )
