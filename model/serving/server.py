"""The inference server: SageMaker's container contract (`/ping`, `/invocations`) and Prometheus' `/metrics`.

    python -m model.serving serve      with the environment of ServeSettings

It listens before the model is loaded and answers `/ping` with 503 until then. After SIGTERM it takes no new connection,
answers what it has admitted, and ends with status 0.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contract.containers import ServeSettings
from contract.invocation import InvocationAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, PROBLEM_MEDIA_TYPE
from contract.problems import InternalError, NotFound, ProblemError, ServiceUnavailable
from contract.settings import SettingsError
from model.serving.observe import Trace, log_as_json
from model.serving.service import ClientLeft, Service

DRAIN_S = 25
"""How long admitted requests may take after SIGTERM; SageMaker follows with SIGKILL after 30 s."""

KEEP_ALIVE_S = 75
"""Longer than whoever calls keeps idle connections, so that no request meets a closing one."""

FAULT_SHOWN_S = 15
"""Three of SageMaker's pings."""

CLIENT_LEFT_STATUS = 499
"""nginx's word in logs for an answer that nobody was there to take."""

log = logging.getLogger(__name__)


def create_app(
    service: Service,
    on_loaded: Callable[[asyncio.Task[None]], None] = lambda loading: None,
    on_fault: Callable[[str], None] = log.critical,
    fault_shown_s: float = FAULT_SHOWN_S,
) -> Starlette:
    """The routes over `service`.

    Their start-up (ASGI's lifespan) begins to load the model, does not wait for it, and tells `on_loaded`. `on_fault`
    hears of a service that will not recover, when `/ping` has said so for `fault_shown_s`.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(service.load())
        loading.add_done_callback(on_loaded)
        watching = asyncio.create_task(_watch(service, on_fault, fault_shown_s))
        yield
        loading.cancel()
        watching.cancel()

    async def ping(request: Request) -> Response:
        if service.unhealthy is not None:
            return _problem_response(ServiceUnavailable(service.unhealthy))
        return Response()

    async def metrics(request: Request) -> Response:
        return Response(await asyncio.to_thread(service.metrics.page), media_type="text/plain; version=0.0.4")

    async def invocations(request: Request) -> Response:
        attributes = InvocationAttributes.decode(request.headers.get(CUSTOM_ATTRIBUTES_HEADER))
        request_id = attributes.request_id or secrets.token_hex(8)
        trace = Trace()
        try:
            response = Response(await service.invoke(request, attributes, trace), media_type="application/json")
        except ProblemError as problem:
            response = _problem_response(problem, request_id)
        except ClientLeft:
            response = Response(status_code=CLIENT_LEFT_STATUS)
        response.headers[CUSTOM_ATTRIBUTES_HEADER] = service.describe(trace).encode()
        durations_ms = dict(trace.durations_ms)  # a thread whose request was given up may still add to it
        service.metrics.answered(response.status_code, durations_ms)
        log.info("answered", extra={"request_id": request_id, "status": response.status_code, "ms": durations_ms})
        return response

    async def failed(request: Request, error: Exception) -> Response:
        service.metrics.answered(InternalError.status, {})
        return _problem_response(InternalError("the model server failed; its log says why"))

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/metrics", metrics),
        ],
        exception_handlers={HTTPException: _no_such_route, Exception: failed},
        lifespan=lifespan,
    )


async def _watch(service: Service, on_fault: Callable[[str], None], fault_shown_s: float) -> None:
    since_s = time.monotonic()
    while time.monotonic() - since_s <= fault_shown_s:
        await asyncio.sleep(fault_shown_s / 10)
        if service.fault is None:
            since_s = time.monotonic()
    on_fault(f"{service.fault}: the process ends, so that another one takes its place")


async def _no_such_route(request: Request, error: Exception) -> Response:
    problem = NotFound(f"{request.method} {request.url.path}: there are GET /ping, POST /invocations and GET /metrics")
    return _problem_response(problem)


def _problem_response(problem: ProblemError, request_id: str | None = None) -> Response:
    headers = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
    return Response(orjson.dumps(problem.body(request_id)), problem.status, headers, PROBLEM_MEDIA_TYPE)


def main() -> int:
    """Serve until SIGTERM. The exit status: 0 after a drain, 1 if the model can't be loaded, 2 for bad settings."""
    log_as_json()
    # uvicorn drains on SIGTERM and then raises the signal again, for whoever handled it before: end well
    signal.signal(signal.SIGTERM, lambda signum, frame: leave(0))
    try:
        settings = ServeSettings.from_env(os.environ)
    except SettingsError as error:
        log.critical("%s", error)
        return 2
    failures: list[BaseException] = []

    def on_loaded(loading: asyncio.Task[None]) -> None:
        if not loading.cancelled() and (error := loading.exception()) is not None:
            log.critical("the model can't be loaded: %s", error, exc_info=error)
            failures.append(error)
            server.should_exit = True

    def on_fault(fault: str) -> None:
        log.critical(fault)
        server.should_exit = True

    service = Service(settings)
    config = uvicorn.Config(
        create_app(service, on_loaded, on_fault),
        host=settings.bind_host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = uvicorn.Server(config)
    server.run()
    if service.fault:
        leave(1)
    return 1 if failures else 0


def leave(status: int) -> NoReturn:
    """End at once. An orderly end waits for threads, and one still at work does it for nobody, or will not return."""
    sys.stdout.flush()
    os._exit(status)
