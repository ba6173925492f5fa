"""What schemathesis asks of a running API: no query that a gateway answers by itself, since it is too long, and no form
that is meant to break the schema: all that a form can hold is text, so a number there breaks nothing.
"""

from typing import Any
from urllib.parse import quote

import schemathesis

from tests.hostile.traffic import MAX_HEAD_BYTES


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Whether it is short enough."""
    return len(quote(str(query), errors="replace")) <= MAX_HEAD_BYTES


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Whether it is no form that is meant to be refused."""
    meant_badly = case.meta is not None and case.meta.generation.mode.is_negative
    return not (meant_badly and case.media_type == "multipart/form-data")
