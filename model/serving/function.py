"""The model server as an AWS Lambda function: the same app, asked by Lambda's runtime API in the place of a port.

    python -m model.serving function      with the environment of FunctionSettings

The model is loaded before the first invocation is asked for: in the seconds that Lambda gives a start, or, if it takes
longer, within that invocation. While the process waits for the next one Lambda may stop it for minutes and let it go on
as if nothing had been, with all of its clocks ahead. So what the model does for an earlier invocation, such as reading
labels that nobody waits for any more, ends before the next is asked for, if it does within SETTLES_S; what takes longer
goes on beside the next one.
"""

import asyncio
import importlib
import logging
import os
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Scope

from contract.containers import FunctionSettings
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, PROBLEM_MEDIA_TYPE
from contract.models import NO_MODEL_URI
from contract.problems import InternalError, ProblemError, answer_too_large
from contract.serving_function import MAX_PAYLOAD_BYTES, Invocation, Invoked
from contract.settings import SettingsError
from contract.validation import json_object, validate
from model.serving.observe import log_as_json
from model.serving.server import create_app, leave
from model.serving.service import Service

RUNTIME = "/2018-06-01/runtime"
CONTENT_TYPE = "content-type"

SETTLES_S = 60
"""With the longest invocation it is well within the time that Lambda gives one (stacks/serving/function.py)."""

log = logging.getLogger(__name__)


class RuntimeApi:
    """Where Lambda hands out invocations and takes answers, as host and port
    (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). Raises OSError where it answers nothing sensible.
    """

    def __init__(self, host_and_port: str) -> None:
        self._host_and_port = host_and_port

    def next(self) -> tuple[str, bytes]:
        """Wait for an invocation: its number, and the event."""
        headers, event = self._ask("GET", "invocation/next", HTTPStatus.OK)
        return headers["Lambda-Runtime-Aws-Request-Id"], event

    def respond(self, number: str, payload: bytes) -> None:
        """Answer an invocation."""
        self._ask("POST", f"invocation/{number}/response", HTTPStatus.ACCEPTED, payload)

    def fail_to_start(self, error: BaseException | str) -> None:
        """Say why no invocation will be asked for."""
        kind = "Unhealthy" if isinstance(error, str) else type(error).__name__
        told = {"errorMessage": str(error), "errorType": kind, "stackTrace": []}
        headers = {"Lambda-Runtime-Function-Error-Type": f"Runtime.{kind}"}
        self._ask("POST", "init/error", HTTPStatus.ACCEPTED, orjson.dumps(told), **headers)

    def _ask(
        self, method: str, path: str, expected: HTTPStatus, body: bytes | None = None, **headers: str
    ) -> tuple[Any, bytes]:
        # no timeout, for the next invocation may be hours away; nothing is kept open, for that outlives no standstill
        connection = HTTPConnection(self._host_and_port)
        try:
            connection.request(method, f"{RUNTIME}/{path}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != expected:
            raise OSError(f"Lambda's runtime API answered {method} {path} with {answer.status}: {content[:500]!r}")
        return answer.headers, content


async def answer(app: ASGIApp, event: bytes) -> bytes:
    """What the app answers to an event, which is an `Invocation` in JSON, as the JSON of an `Invoked`."""
    try:
        invoked = await _asked(app, validate(Invocation, json_object(event)))
        payload = _json_of(invoked)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise answer_too_large(len(payload), MAX_PAYLOAD_BYTES)
        return payload
    except ProblemError as problem:
        body = orjson.dumps(problem.body()).decode()
        return _json_of(Invoked(status=problem.status, content_type=PROBLEM_MEDIA_TYPE, body=body))


async def _asked(app: ASGIApp, invocation: Invocation) -> Invoked:
    """As POST /invocations of the server."""
    body = invocation.body_bytes()
    headers = {
        CONTENT_TYPE: invocation.content_type,
        "content-length": str(len(body)),
        CUSTOM_ATTRIBUTES_HEADER.lower(): invocation.custom_attributes,
    }
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/invocations", "query_string": b"", "root_path": "", "client": None, "server": None,
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
    }  # fmt: skip
    received: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop() if received else await asyncio.Future()  # nobody leaves

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception:  # the top of this process, as a server's is around its app, which has answered by now
        log.exception("an invocation failed")
    if not sent:
        raise InternalError("the model server failed; its log says why")
    told = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Invoked(
        status=sent[0]["status"],
        content_type=told.get(CONTENT_TYPE, ""),
        custom_attributes=told.get(CUSTOM_ATTRIBUTES_HEADER.lower(), ""),
        body=b"".join(message["body"] for message in sent[1:]).decode(),
    )


def _json_of(invoked: Invoked) -> bytes:
    return invoked.model_dump_json().encode()


async def serve(settings: FunctionSettings, api: RuntimeApi) -> str:
    """Load the model and answer invocations for as long as it can: why it can't any more."""
    try:
        service = await _loaded(settings)
    except Exception as error:  # the top of this process: whatever it is, Lambda is told
        log.critical("%s", error, exc_info=error)  # first, for the process may be ended by the other
        await asyncio.to_thread(api.fail_to_start, error)
        return "the model can't be loaded"
    if service.unhealthy is not None:
        await asyncio.to_thread(api.fail_to_start, service.unhealthy)
    return await answer_invocations(service, api)


async def answer_invocations(service: Service, api: RuntimeApi) -> str:
    """One after another, until the service is unhealthy: why it is."""
    app = create_app(service)
    while service.unhealthy is None:
        number, event = await asyncio.to_thread(api.next)
        await asyncio.to_thread(api.respond, number, await answer(app, event))
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLES_S):
                await service.settle()
    return service.unhealthy


async def _loaded(settings: FunctionSettings) -> Service:
    if settings.model_s3_uri != NO_MODEL_URI:
        from model.serving.s3 import fetch_folder  # only here, for the shipped checkpoint needs no S3

        loading = asyncio.to_thread(importlib.import_module, "model.serving.load")  # meanwhile
        directory, _ = await asyncio.gather(asyncio.to_thread(fetch_folder, settings.model_s3_uri), loading)
        settings = settings.model_copy(update={"model_dir": directory})
    service = Service(settings)
    await service.load()
    return service


def main() -> int:
    """Answer invocations until Lambda ends the process. The exit status: 1 if the model can't be loaded or has failed
    for good, 2 for bad settings.
    """
    log_as_json()
    try:
        settings = FunctionSettings.from_env(os.environ)
    except SettingsError as error:
        log.critical("%s", error)
        return 2
    if not settings.runtime_api:
        log.critical("AWS_LAMBDA_RUNTIME_API is not set: `function` is what AWS Lambda starts, elsewhere it is `serve`")
        return 2
    try:
        fault = asyncio.run(serve(settings, RuntimeApi(settings.runtime_api)))
        log.critical("%s: the process ends, so that another one takes its place", fault)
    except Exception as error:
        log.critical("the function ends: %s", error, exc_info=error)
    leave(1)
