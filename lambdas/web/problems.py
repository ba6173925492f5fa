"""The one place where an error becomes an HTTP answer."""

import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from contract.limits import PROBLEM_MEDIA_TYPE, REQUEST_ID_HEADER
from contract.problems import InternalError, NotFound, ProblemError
from contract.routes import OPENAPI, ROUTES

ROUTES_IN_WORDS = ", ".join(f"{route.method} {route.path}" for route in ROUTES)


def answer_problems(app: APIGatewayRestResolver, logger: Logger) -> None:
    """Let `app` answer every error as problem details (RFC 9457): ours with its sentence, any other with a fixed one.

    Server faults are logged with their cause. Nothing of the request is logged: images and keys belong to the caller.
    """

    def ours(problem: ProblemError) -> Response[str]:
        if problem.status >= 500:
            logger.warning(problem.detail, status=problem.status, exc_info=problem.__cause__)
        return _respond(app, problem)

    def no_route(_: NotFoundError) -> Response[str]:
        asked = f"{app.current_event.http_method} {app.current_event.path}"
        return _respond(app, NotFound(f"no route {asked}: there are {ROUTES_IN_WORDS}; {OPENAPI.path} describes them"))

    def unforeseen(error: Exception) -> Response[str]:
        logger.error("unforeseen failure", exc_info=error)
        return _respond(app, InternalError("something failed on our side: quote the request id when asking for help"))

    app.exception_handler(ProblemError)(ours)
    app.exception_handler(Exception)(unforeseen)
    app.not_found(no_route)


def _respond(app: APIGatewayRestResolver, problem: ProblemError) -> Response[str]:
    request_id = app.current_event.request_context.request_id or ""
    headers: dict[str, str | list[str]] = {REQUEST_ID_HEADER: request_id}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    return Response(problem.status, PROBLEM_MEDIA_TYPE, json.dumps(problem.body(request_id)), headers)
