"""If-Match and If-None-Match: what a writer says about the state it has seen (RFC 9110, 13.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response

from contract.problems import BadRequest, PreconditionFailed
from lambdas.aws.s3 import Document, Store
from lambdas.web.resolver import Resolver

Checked = TypeVar("Checked", bound="Document[Any] | None")

_ENTITY_TAG = re.compile(r'\s*(?:"([^"]*)"|([^\s",]+))\s*')


@dataclass(frozen=True)
class Conditions:
    """What a request allows. `tags`: it must be in one of these states, None: any, empty: it must exist."""

    tags: frozenset[str] | None = None
    absent: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions:
        """Read the two headers. Raises BadRequest if they can't be read."""
        match, none_match = headers.get("if-match"), headers.get("if-none-match")
        if none_match is not None and none_match.strip() != "*":
            raise BadRequest(f"if-none-match is {none_match!r}, allowed is *: only if there is none yet")
        if match is None:
            return cls(absent=none_match is not None)
        if match.strip() == "*":
            return cls(frozenset(), none_match is not None)
        found = [_ENTITY_TAG.fullmatch(part) for part in match.split(",")]
        if not all(found):
            raise BadRequest(f'if-match is {match!r}, allowed is * or an etag as it was answered, such as "9b2c"')
        return cls(frozenset(each[1] or each[2] for each in found if each), none_match is not None)

    def check(self, document: Checked) -> Checked:
        """The document, if it is in a state that is allowed. Raises PreconditionFailed."""
        if self.absent and document is not None:
            raise PreconditionFailed("there is one already: read it, and send its etag as if-match to change it")
        if self.tags is not None and document is None:
            raise PreconditionFailed("there is none any more: send it without if-match to make one")
        if self.tags and document is not None and document.etag not in self.tags:
            raise PreconditionFailed("it was changed meanwhile: read it again, and send its new etag")
        return document


def delete_document(app: Resolver, store: Store, document: Document[Any]) -> Response[str]:
    """Remove a document if the app's current request allows that, and answer it. Raises what `Conditions` do."""
    Conditions.of(app.current_event.headers).check(document)
    store.delete(document.key, etag=document.etag)
    return app.answer_nothing()
