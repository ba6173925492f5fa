"""What schemathesis asks of a running API: no query that a gateway answers by itself, since it is too long."""

from typing import Any
from urllib.parse import quote

import schemathesis

from tests.hostile.traffic import MAX_HEAD_BYTES


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Whether it is short enough."""
    return len(quote(str(query), errors="replace")) <= MAX_HEAD_BYTES
