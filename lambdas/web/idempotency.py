"""Idempotency-Key: a POST that is sent again gets the first one's answer, and creates nothing twice.

After https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header, but for its 422 of a key that comes
again with another request, which here is a 409 as well.
"""

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from aws_lambda_powertools.event_handler import Response

from contract.idempotency import (
    IDEMPOTENCY_HEADER,
    MAX_IDEMPOTENCY_KEY_CHARS,
    Answer,
    Remembered,
    remembered_key,
    request_digest,
)
from contract.limits import LAMBDA_TIMEOUT_S
from contract.problems import BadRequest, Conflict, PreconditionFailed, ProblemError, shorten
from lambdas.aws.s3 import Document, JsonObject, Store
from lambdas.web.resolver import Resolver

_RETRY_AFTER_S = 1
_REPLAYED_HEADERS = ("location", "etag")
_KEY = re.compile(rf"[!-~]{{1,{MAX_IDEMPOTENCY_KEY_CHARS}}}")

Work = Callable[[str], Response[str]]
"""Creates something under the id that it is given, and answers with it. Given the same id again, it goes on."""


def new_id() -> str:
    """An id that sorts by time: <utc yyyymmddhhmmss>-<6 hex>."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)}"


def once(app: Resolver, store: Store, work: Work) -> Response[str]:
    """The answer of `work` to the app's current request, or what was answered to its Idempotency-Key before.

    A repetition after a failure on our side is given the id of the first attempt, so that it creates nothing beside it.
    Raises BadRequest for a bad key, Conflict while the first request is at work or if it was another one.
    """
    event = app.current_event
    key = event.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        return work(new_id())
    if not _KEY.fullmatch(key):
        raise BadRequest(
            f"the {IDEMPOTENCY_HEADER} header is 1 to {MAX_IDEMPOTENCY_KEY_CHARS} visible ASCII characters, "
            f"got {shorten(key)!r}"
        )
    place = remembered_key(f"{event.http_method} {event.path}", key)
    digest = request_digest(event.http_method, event.path, app.query, app.content_type, app.body)
    reserved = _reserve(store, place, digest)
    remembered = cast(Remembered, reserved.value)
    if (answer := remembered["answer"]) is not None:
        return app.respond(answer["body"], "application/json", answer["status"], answer["headers"])
    return _remember(store, reserved, work)


def _reserve(store: Store, place: str, digest: str) -> Document[JsonObject]:
    """The memory of this request: answered, or ours to work on."""
    found = store.read(place)
    if found is None:
        fresh = Remembered(id=new_id(), request_sha256=digest, busy_until_epoch_s=0, answer=None)
        return _claim(store, place, dict(fresh))
    remembered = cast(Remembered, found.value)
    if remembered.get("request_sha256") != digest:  # one of an earlier release has another digest, for a day
        raise Conflict(
            f"this {IDEMPOTENCY_HEADER} came with another request before, of which the query, the content-type or the "
            "body was not the same: take a new key for a new request"
        )
    if remembered["answer"] is not None:
        return found
    if remembered["busy_until_epoch_s"] > time.time():
        raise _at_work()
    return _claim(store, place, found.value, found.etag)


def _claim(store: Store, place: str, value: dict[str, Any], etag: str | None = None) -> Document[JsonObject]:
    """Write down that we are at work, over the state `etag`, or else where there is none."""
    over_epoch_s = int(time.time()) + LAMBDA_TIMEOUT_S  # at the latest, with an answer or without
    try:
        return store.write(place, {**value, "busy_until_epoch_s": over_epoch_s}, etag=etag, absent=etag is None)
    except PreconditionFailed:
        raise _at_work() from None


def _remember(store: Store, reserved: Document[JsonObject], work: Work) -> Response[str]:
    remembered = cast(Remembered, reserved.value)
    try:
        response = work(remembered["id"])
    except BaseException as error:
        if isinstance(error, ProblemError) and error.status < 500:
            store.delete(reserved.key)  # nothing was created: the caller may send something better with the same key
        else:  # the next attempt need not wait
            store.write(reserved.key, {**remembered, "busy_until_epoch_s": 0})
        raise
    headers = {name: str(response.headers[name]) for name in _REPLAYED_HEADERS if name in response.headers}
    answer = Answer(status=response.status_code, body=response.body or "", headers=headers)
    store.write(reserved.key, {**remembered, "answer": answer})
    return response


def _at_work() -> Conflict:
    return Conflict(
        f"the first request with this {IDEMPOTENCY_HEADER} is at work: try again", retry_after_s=_RETRY_AFTER_S
    )
