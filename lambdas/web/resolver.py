"""Powertools' resolver as the API's functions use it: it reads API Gateway's events and answers them."""

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from contract.invocation import InvocationAttributes
from contract.limits import (
    EXPOSED_HEADERS,
    MAX_ANSWER_BYTES,
    PROBLEM_MEDIA_TYPE,
    REQUEST_ID_HEADER,
    SDK_CONNECT_TIMEOUT_S,
    SDK_READ_TIMEOUT_S,
)
from contract.problems import (
    BadRequest,
    InternalError,
    NotFound,
    ProblemError,
    answer_too_large,
    names_in_words,
    shorten,
)
from contract.routes import OPENAPI, ROUTES, Route
from contract.validation import check_readable, parse_json
from lambdas.aws.s3 import Document, JsonObject
from lambdas.web.audit import audit_line

ANSWERING_MS = 500
"""What a function keeps for itself to hand an answer on."""
ROUTES_IN_WORDS = ", ".join(route.name for route in ROUTES)

Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class Resolver(APIGatewayRestResolver):
    """Routes of the contract with our CORS headers and our problems, and no route yet. Answers `current_event`.

    Every error is answered as problem details (RFC 9457): ours with its sentence, any other with a fixed one. Server
    faults are logged with their cause. Nothing of the request is logged: images and keys belong to the caller.
    """

    def __init__(self, cors_origins: Sequence[str], logger: Logger) -> None:
        super().__init__(cors=_cors(cors_origins))
        self._logger = logger

        def ours(problem: ProblemError) -> Response[str]:
            if problem.status >= 500:
                logger.warning(problem.detail, status=problem.status, exc_info=problem.__cause__)
            return self.answer_problem(problem)

        def no_route(_: NotFoundError) -> Response[str]:
            asked = f"{self.current_event.http_method} {shorten(self.current_event.path)}"
            sentence = f"no route {asked}: there are {ROUTES_IN_WORDS}; {OPENAPI.path} describes them"
            return self.answer_problem(NotFound(sentence))

        def unforeseen(error: Exception) -> Response[str]:
            logger.error("unforeseen failure", exc_info=error)
            sentence = "something failed on our side: quote the request id when asking for help"
            return self.answer_problem(InternalError(sentence))

        self.exception_handler(ProblemError)(ours)
        self.exception_handler(Exception)(unforeseen)
        self.not_found(no_route)

    def on(self, route: Route) -> Callable[[Callable[..., Response[str]]], Callable[..., Response[str]]]:
        """Decorate what answers a route. What it changes is logged with who asked for it."""

        def decorate(work: Callable[..., Response[str]]) -> Callable[..., Response[str]]:
            def answer(**parameters: str) -> Response[str]:
                response = work(**parameters)
                if line := audit_line(route, parameters, self.current_event, response):
                    self._logger.info("audit", **line)
                return response

            self.route(route.rule, route.method)(answer)
            return work

        return decorate

    def answers(self, route: Route, work: Callable[..., Any]) -> None:
        """Answer a route with what `work` returns when it is given the parameters of the path."""
        self.on(route)(lambda **parameters: self.answer(work(*parameters.values())))

    @property
    def request_id(self) -> str:
        """API Gateway's id of the request."""
        return self.current_event.request_context.request_id or ""

    @property
    def content_type(self) -> str | None:
        """Of the body, as its sender says."""
        return self.current_event.headers.get("content-type")

    @property
    def body(self) -> bytes:
        """API Gateway hands binary media types over as base64 and everything else as text, in which U+FFFD stands for
        what was not UTF-8. What is no text in it either, can't be read by whoever reads the bytes.
        """
        body = self.current_event.body or ""
        return base64.b64decode(body) if self.current_event.is_base64_encoded else body.encode(errors="surrogatepass")

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        """The query's fields, each with all of its values. Raises BadRequest for one that was not written in UTF-8."""
        single = self.current_event.query_string_parameters or {}
        fields = self.current_event.multi_value_query_string_parameters or {name: [single[name]] for name in single}
        check_readable(fields)
        return fields

    @property
    def invocation_attributes(self) -> InvocationAttributes:
        """What the container is told beside the request: its id, and until when an answer is waited for.

        That is when the SDK stops listening, or shortly before the function is stopped if that comes first.
        """
        left_ms = self.lambda_context.get_remaining_time_in_millis() - ANSWERING_MS
        left_ms = min(left_ms, 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S))
        return InvocationAttributes(self.request_id, int(time.time() * 1000) + left_ms)

    def json_body(self, model: type[Model], *, default: Model | None = None) -> Model:
        """The request's body, or `default` if it is left out. Raises BadRequest or UnsupportedMediaType."""
        body = self.body
        return default if default and not body else parse_json(model, self.content_type, body)

    def one_of_query(self, name: str) -> str:
        """The one value of a query's field, or "". Raises BadRequest if it is given twice."""
        values = self.query.get(name, [])
        if len(values) > 1:
            raise BadRequest(f"{name} is given {len(values)} times: give it once")
        return values[0] if values else ""

    def switch_of_query(self, name: str) -> bool:
        """Whether a query's field is `true`; left out it is not. Raises BadRequest for another value."""
        value = self.one_of_query(name).lower()
        if value not in ("", "true", "false"):
            raise BadRequest(f"{name} is {shorten(value)!r}, allowed are true and false")
        return value == "true"

    def check_query(self, *allowed: str) -> None:
        """Raises BadRequest for a field of the query that is none of the `allowed`."""
        if unknown := [name for name in self.query if name not in allowed]:
            raise BadRequest(
                f"{names_in_words(unknown)}: not a known field of the query, allowed are {', '.join(allowed)}"
            )

    def page_query(self, most: int, *others: str) -> tuple[int, str]:
        """(limit, after) of a list's query; `most` is the default limit. `others` are fields that the route reads.

        Raises BadRequest for any other field, and for a limit that is not a number between 1 and `most`.
        """
        self.check_query("limit", "after", *others)
        limit = self.one_of_query("limit") or str(most)
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= most and len(limit) < 9):
            raise BadRequest(f"limit is {shorten(limit)!r}, allowed is a number from 1 to {most}")
        return int(limit), self.one_of_query("after")

    def answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[str]:
        """A JSON answer with the request's id. Raises BadRequest if it is larger than can be handed back."""
        members = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
        text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
        # The runtime puts the text into JSON once more, and may write a character beyond ASCII as six.
        size_bytes = len(json.dumps(text))
        if size_bytes > MAX_ANSWER_BYTES:
            raise answer_too_large(size_bytes, MAX_ANSWER_BYTES)
        return self.respond(text, "application/json", status, headers)

    def answer_document(self, document: Document[JsonObject], status: int = 200) -> Response[str]:
        """A stored document, with its etag as a header's entity tag (RFC 9110, 8.8.3)."""
        return self.answer(document.value, status, {"etag": f'"{document.etag}"'})

    def answer_problem(self, problem: ProblemError) -> Response[str]:
        """Problem details with the request's id, and when to try again if that is known."""
        later = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
        return self.respond(json.dumps(problem.body(self.request_id)), PROBLEM_MEDIA_TYPE, problem.status, later)

    def answer_nothing(self) -> Response[str]:
        """The answer to a deletion: it is done, and there is nothing to say."""
        return self.respond(None, None, 204)

    def respond(
        self, body: str | None, content_type: str | None, status: int, headers: Mapping[str, str] | None = None
    ) -> Response[str]:
        """Any answer, with the header by which its request is found in the logs."""
        return Response(status, content_type, body, {REQUEST_ID_HEADER: self.request_id, **(headers or {})})


def handler_of(logger: Logger, make: Callable[[], Resolver]) -> Handler:
    """The `handler(event, context)` of a function, which answers one API Gateway proxy event.

    Its routes are made at the first of these: only then the environment is there.
    """
    resolver = cache(make)

    @logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return resolver().resolve(event, context)

    return handler


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(origins[0], extra_origins=list(origins[1:]), expose_headers=list(EXPOSED_HEADERS), max_age=3600)
