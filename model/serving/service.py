"""The service behind the routes: it loads the model, admits requests, keeps their deadlines and counts them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from model.contract import (
    CONTAINER_TIMEOUT_S,
    MAX_INVOCATION_BYTES,
    AnswerAttributes,
    BadRequest,
    GatewayTimeout,
    InvocationAttributes,
    PayloadTooLarge,
    ProblemError,
    ServiceUnavailable,
    TooManyRequests,
    parse_request,
)
from model.contract import Request as InvocationRequest
from model.serving.metrics import Metrics
from model.serving.privileges import drop_root
from model.serving.trace import Trace
from model.settings import ServeSettings

if TYPE_CHECKING:
    from model.serving.engine import Engine

MAX_BODY_BYTES = 2 * MAX_INVOCATION_BYTES
"""Base64 makes a third more of the images; the rest is room for labels."""

RETRY_AFTER_S = 1

log = logging.getLogger(__name__)


class Service:
    """One model at work for HTTP. Lives on one event loop; `load` makes its engine, or says why it can't."""

    def __init__(self, settings: ServeSettings, load: Callable[[ServeSettings], Engine | str] | None = None) -> None:
        self.settings = settings
        self._load = load or load_engine
        self._in_flight = 0
        self.metrics = Metrics(lambda: self._in_flight)
        self._engine: Engine | None = None
        self._not_ready = "the model is loading"

    async def load(self) -> None:
        """Load the model beside the event loop; the service is healthy from then on.

        Raises CheckpointError. A GPU that is expected and absent stays the reason for being unhealthy.
        """
        engine = await asyncio.to_thread(self._load, self.settings)
        if isinstance(engine, str):
            self._not_ready = engine
            log.critical("unhealthy: %s", engine)
            return
        if self.settings.run_as_user:
            drop_root(self.settings.run_as_user)
        self._engine = engine
        self.metrics.watch_label_cache(lambda: (engine.labels.hits, engine.labels.misses))

    @property
    def unhealthy(self) -> str | None:
        """Why requests should not come here, or None. Overload is no reason: SageMaker would replace the instance."""
        return self._not_ready if self._engine is None else self._engine.fault

    async def invoke(self, request: Request, attributes: InvocationAttributes, trace: Trace) -> bytes:
        """Answer one invocation with a JSON body.

        Raises ProblemError, also for overload (429) and for answers that would come too late (504).
        """
        try:
            async with asyncio.timeout(_seconds_left(attributes)):
                return await self._invoke(request, trace)
        except TimeoutError:
            raise self._too_late(trace) from None

    async def _invoke(self, request: Request, trace: Trace) -> bytes:
        admitted = self._admit()
        if isinstance(admitted, ProblemError):
            await _receive(request, keep_bytes=0)
            raise admitted
        with self._slot(), trace.stage("total"):
            body = await _receive(request, keep_bytes=MAX_BODY_BYTES)
            with trace.stage("parse"):
                parsed = await admitted.in_pool(_parse, request, body)
            return await admitted.answer(parsed, trace)

    def describe(self, trace: Trace) -> AnswerAttributes:
        """What goes back beside a body."""
        if self._engine is None:
            return AnswerAttributes()
        clip = self._engine.clip
        return AnswerAttributes(clip.version, trace.truncated_prompts, clip.context_length, trace.durations_ms)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _admit(self) -> Engine | ProblemError:
        if self._engine is None:
            return ServiceUnavailable(self._not_ready, retry_after_s=RETRY_AFTER_S)
        if self._in_flight < self.settings.queue_limit:
            return self._engine
        return TooManyRequests(
            f"{self._in_flight} requests are being answered, as many as are taken at once: try again later",
            retry_after_s=RETRY_AFTER_S,
        )

    def _too_late(self, trace: Trace) -> ProblemError:
        if self._engine is not None and "labels" in trace.open_stages:
            # 429 and not 503: a fresh fleet knows no labels yet, and a 5xx would count as its failure
            pending, wait_s = self._engine.labels.pending, self._engine.labels.wait_s
            return TooManyRequests(
                f"{pending} new label texts are still being read by the model: send the same request again "
                f"in {wait_s} s and it will find them ready",
                retry_after_s=wait_s,
            )
        return GatewayTimeout("the answer would have come too late, so it was given up: send less at once or try again")


def load_engine(settings: ServeSettings) -> Engine | str:
    """The engine, or why this machine can't run it. Raises CheckpointError."""
    # imported here, in a thread: torch takes seconds, and the port is to be open before that
    from model.device import DeviceError
    from model.serving import engine

    try:
        return engine.load_engine(settings)
    except DeviceError as error:
        return str(error)


def _seconds_left(attributes: InvocationAttributes) -> float:
    if attributes.deadline_epoch_ms is None:
        return CONTAINER_TIMEOUT_S
    left_ms = attributes.deadline_epoch_ms - int(time.time() * 1000)  # whole numbers: any caller's number fits
    return min(CONTAINER_TIMEOUT_S * 1000, left_ms) / 1000


async def _receive(request: Request, keep_bytes: int) -> bytes:
    """The whole body. What won't be kept is read to its end as well, or its sender would miss the answer."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= keep_bytes:
                chunks.append(chunk)
    except ClientDisconnect:
        raise BadRequest("the connection closed before the whole body had come") from None
    if size > keep_bytes > 0:
        raise PayloadTooLarge(f"a body of {size:,} bytes, at most {keep_bytes:,} are allowed")
    return b"".join(chunks)


def _parse(http: Request, body: bytes) -> InvocationRequest:
    query = {name: http.query_params.getlist(name) for name in http.query_params}
    return parse_request(http.headers.get("content-type"), body, query, max_image_bytes=MAX_INVOCATION_BYTES)
