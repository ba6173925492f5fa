"""The service behind the routes: it loads the model, admits requests, keeps their deadlines and counts them."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request

from contract.containers import ServeSettings
from contract.forms import read_fields
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import CONTAINER_TIMEOUT_S, LAMBDA_TIMEOUT_S, MAX_INVOCATION_BYTES
from contract.problems import GatewayTimeout, PayloadTooLarge, ProblemError, ServiceUnavailable, TooManyRequests
from contract.requests import Request as ParsedRequest
from contract.requests import parse_request
from contract.validation import JSON, media_type_of
from model.serving.admission import Admission
from model.serving.observe import Metrics, Trace
from model.serving.privileges import drop_root

if TYPE_CHECKING:
    from model.serving.engine import Engine
    from model.serving.heads import Heads
    from model.serving.labels import LabelCache, LabelSets

MAX_BODY_BYTES = 2 * MAX_INVOCATION_BYTES
"""Base64 makes a third more of the images; the rest is room for labels."""

CUT_AT_ONCE_BYTES = 256 * 1024
CUT_AT_ONCE_PARTS = 8
READ_AT_ONCE_CHARS = 2_000
"""A form up to the first size and of few parts is cut on the event loop, and read there if it has one image at most and
its texts are no longer than the last: to pass it to a thread takes longer. So much text may be 200 labels, and take
2 ms; to look through one image that was made to be slow takes 5.
"""

RETRY_AFTER_S = 1

log = logging.getLogger(__name__)

Load = Callable[[ServeSettings, Metrics], "tuple[Engine, float] | str"]
"""An engine and how many seconds an image takes, or why there is none."""


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


class Service:
    """One model at work for HTTP. Lives on one event loop; `load` makes its engine, or says why it can't."""

    def __init__(self, settings: ServeSettings, load: Load | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.admission = Admission(settings.queue_budget_ms / 1000, settings.max_bytes_in_flight)
        self._load = load or load_engine
        self._engine: Engine | None = None
        self._not_ready = "the model is loading"
        admission, watch = self.admission, self.metrics.watch
        watch("wordsight_requests_in_flight", "Invocations admitted, not answered", lambda: admission.requests)
        watch("wordsight_images_in_flight", "Images of those, as far as they have come", lambda: admission.images)
        watch("wordsight_bytes_in_flight", "Bodies in memory", lambda: admission.bytes)
        watch("wordsight_wait_seconds", "How long a new request would wait for its turn", lambda: admission.wait_s)
        self.metrics.watch_counts(
            "wordsight_refusals", "Invocations refused for overload", "reason", lambda: admission.refusals
        )

    async def load(self) -> None:
        """Load the model beside the event loop; the service is healthy from then on.

        Raises CheckpointError. A GPU that is expected and absent stays the reason for being unhealthy.
        """
        loaded = await asyncio.to_thread(self._load, self.settings, self.metrics)
        if isinstance(loaded, str):
            self._not_ready = loaded
            log.critical("unhealthy: %s", loaded)
            return
        if self.settings.run_as_user:
            drop_root(self.settings.run_as_user)
        self._engine, s_per_image = loaded
        self.admission.expect(s_per_image)
        self._show_engine(self._engine)

    @property
    def unhealthy(self) -> str | None:
        """Why requests should not come here, or None. Overload is no reason: SageMaker would replace the instance."""
        return self._not_ready if self._engine is None else self._engine.fault

    @property
    def fault(self) -> str | None:
        """Why this process will never answer again although it has loaded the model, or None."""
        return None if self._engine is None else self._engine.fault

    async def settle(self) -> None:
        """Wait until nothing is under way, also nothing that nobody waits for any more."""
        if self._engine is not None:
            await self._engine.settle()

    async def invoke(self, request: Request, attributes: InvocationAttributes, trace: Trace) -> bytes:
        """Answer one invocation with a JSON body.

        Raises ProblemError, also for overload (429) and for answers that would come too late (504), and ClientLeft.
        """
        try:
            async with asyncio.timeout(_seconds_left(attributes)) as patience:
                return await self._invoke(request, trace, patience)
        except TimeoutError:
            raise self._too_late(trace) from None

    async def _invoke(self, request: Request, trace: Trace, patience: asyncio.Timeout) -> bytes:
        with ExitStack() as held:
            try:
                if self._engine is None:
                    raise ServiceUnavailable(self._not_ready, retry_after_s=RETRY_AFTER_S)
                self.admission.check_wait()
                held.enter_context(self.admission.holding(_announced_bytes(request)))
            except ProblemError:
                await _receive(request, keep_bytes=0)
                raise
            with trace.stage("total"):
                received = [await _receive(request, keep_bytes=MAX_BODY_BYTES)]
                return await _while_connected(request, patience, self._answer(self._engine, request, received, trace))

    async def _answer(self, engine: Engine, request: Request, received: list[bytes], trace: Trace) -> bytes:
        self.admission.check_wait()  # others have come while the body did
        with self.admission.working() as work:
            query: dict[str, list[str]] = {}
            for name, value in request.query_params.multi_items():
                query.setdefault(name, []).append(value)
            content_type = request.headers.get("content-type")
            cut = None
            if _is_cut_at_once(received[0]) and media_type_of(content_type) != JSON:
                with trace.stage("parse"):
                    cut = read_fields(content_type, received[0], query)
            is_short = cut is not None and len(cut[0]) <= 1 and sum(map(_chars, cut[1].items())) <= READ_AT_ONCE_CHARS

            def parse() -> ParsedRequest:
                # popped: a body of many megabytes is not kept while its images are looked at
                body = received.pop()
                return parse_request(content_type, body, query, max_image_bytes=MAX_INVOCATION_BYTES, cut=cut)

            answer = await engine.answer(parse, trace, work, is_short=is_short)
            work.tells_speed = work.tells_speed and not trace.met_new_labels
            return answer

    def describe(self, trace: Trace) -> AnswerAttributes:
        """What goes back beside a body."""
        if self._engine is None:
            return AnswerAttributes()
        served = self._engine.processing
        truncated, durations_ms, heads = trace.truncated_prompts, trace.durations_ms, tuple(trace.heads)
        return AnswerAttributes(served.version, truncated, served.context_length, durations_ms, heads)

    def _show_engine(self, engine: Engine) -> None:
        for name, text, cache in (
            ("wordsight_label_cache_lookups", "Prompts looked up", engine.labels),
            ("wordsight_label_set_lookups", "Label sets looked up", engine.label_sets),
            ("wordsight_head_lookups", "Heads looked up", engine.heads),
        ):
            self.metrics.watch_counts(name, text, "result", partial(_lookups, cache))
        lost = engine.decoders.lost
        self.metrics.watch_counts("wordsight_decoders_lost", "Decoders that were replaced", "reason", lambda: lost)

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


def load_engine(settings: ServeSettings, metrics: Metrics) -> tuple[Engine, float] | str:
    """The engine, or why this machine can't run it. Raises CheckpointError."""
    # imported here, in a thread: torch takes a second, and the port is to be open before that
    from model.clip.device import DeviceError
    from model.serving import load

    try:
        return load.load_engine(settings, metrics)
    except DeviceError as error:
        return str(error)
    finally:
        gc.enable()  # the program has begun without


def _lookups(cache: LabelCache | LabelSets | Heads) -> dict[str, float]:
    return {"hit": cache.hits, "miss": cache.misses}


def _seconds_left(attributes: InvocationAttributes) -> float:
    if attributes.deadline_epoch_ms is None:
        return CONTAINER_TIMEOUT_S
    left_ms = attributes.deadline_epoch_ms - int(time.time() * 1000)  # whole numbers: any caller's number fits
    if left_ms < -LAMBDA_TIMEOUT_S * 1000:  # nobody has waited for so long: it was read off another clock
        return CONTAINER_TIMEOUT_S
    return min(CONTAINER_TIMEOUT_S * 1000, left_ms) / 1000


def _is_cut_at_once(body: bytes) -> bool:
    return len(body) <= CUT_AT_ONCE_BYTES and body.count(b"\r\n--") <= CUT_AT_ONCE_PARTS


def _chars(field: tuple[str, Sequence[str]]) -> int:
    return sum(map(len, field[1]), start=len(field[0]))


def _announced_bytes(request: Request) -> int:
    """How large the body will be; as large as may be if its sender does not say."""
    announced = request.headers.get("content-length", "")
    return min(int(announced), MAX_BODY_BYTES) if announced.isdecimal() else MAX_BODY_BYTES


async def _while_connected(request: Request, patience: asyncio.Timeout, work: Coroutine[Any, Any, bytes]) -> bytes:
    """What `work` returns. Raises ClientLeft, and gives the work up, if the client closes its connection first."""

    def lose_patience(leaving: asyncio.Future[Any]) -> None:
        with suppress(RuntimeError):  # the answer has come
            patience.reschedule(0)

    leaving = asyncio.ensure_future(request.receive())
    leaving.add_done_callback(lose_patience)  # after the body, a client has nothing to say but that it leaves
    try:
        return await work
    except asyncio.CancelledError:
        if leaving.done():
            raise ClientLeft from None
        raise
    finally:
        leaving.cancel()


async def _receive(request: Request, keep_bytes: int) -> bytes:
    """The whole body. What won't be kept is read to its end as well, or its sender would miss the answer."""
    body = BytesIO()  # not a list of chunks: they would be there beside what they are joined to, and leave gaps behind
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= keep_bytes:
                body.write(chunk)
    except ClientDisconnect:
        raise ClientLeft from None
    if size > keep_bytes > 0:
        raise PayloadTooLarge(f"a body of {size:,} bytes, at most {keep_bytes:,} are allowed")
    return body.getvalue()
