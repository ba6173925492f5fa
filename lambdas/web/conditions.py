"""If-Match and If-None-Match: what a writer says about the state it has seen (RFC 9110, 13.1)."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response

from contract.problems import BadRequest, PreconditionFailed, shorten
from lambdas.aws.s3 import Document, Store
from lambdas.web.resolver import Resolver

Checked = TypeVar("Checked", bound=Document[Any] | None)

_ENTITY_TAG = re.compile(r'\s*(?:"([^"]*)"|([^\s",]+))\s*')


def check_conditions(headers: Mapping[str, str], document: Checked) -> Checked:
    """The document, None where there is none, if a request's headers allow to write over this state of it.

    Raises BadRequest if they can't be read, and PreconditionFailed if it is another state.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match is not None and none_match.strip() != "*":
        raise BadRequest(f"if-none-match is {shorten(none_match)!r}, allowed is *: only if there is none yet")
    parts = [] if match is None or match.strip() == "*" else match.split(",")
    tags = [_ENTITY_TAG.fullmatch(part) for part in parts]
    if match is not None and not all(tags):
        got = shorten(match)
        raise BadRequest(f'if-match is {got!r}, allowed is * or an etag as it was answered, such as "9b2c"')
    if none_match is not None and document is not None:
        raise PreconditionFailed("there is one already: read it, and send its etag as if-match to change it")
    if match is not None and document is None:
        raise PreconditionFailed("there is none any more: send it without if-match to make one")
    if tags and document is not None and document.etag not in {tag[1] or tag[2] for tag in tags if tag}:
        raise PreconditionFailed("it was changed meanwhile: read it again, and send its new etag")
    return document


def delete_document(app: Resolver, store: Store, document: Document[Any]) -> Response[str]:
    """Remove a document if the app's current request allows it. Raises what `check_conditions` does."""
    check_conditions(app.current_event.headers, document)
    store.delete(document.key, etag=document.etag)
    return app.answer_nothing()
