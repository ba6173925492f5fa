"""The route table: every route of the REST API, written once.

`stacks/api.py` builds API Gateway resources from it, the handlers register themselves under its paths,
and `lambdas/openapi.py` describes it.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Route:
    """One method of one resource."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    open: bool = False
    """Open routes are throttled but need neither key nor signature; all others are behind the stage's auth mode."""
    function: Literal["classify", "annotate", "train"] = "classify"
    """The module of `lambdas/` whose handler answers, with that function's permissions."""


CLASSIFY = Route("POST", "/classify", "Which of these labels fit this image?")
EMBED = Route("POST", "/embed", "Unit vectors of images and texts in CLIP's shared space")
HEALTH = Route("GET", "/health", "Is the endpoint in service?", open=True)
OPENAPI = Route("GET", "/openapi.json", "This API, described", open=True)
PAGE = Route("GET", "/", "A page to try it in a browser", open=True)

ROUTES = (CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE)

STAGE_NAME = "v1"
"""API Gateway's stage, and so the first segment of every path on AWS."""

API_KEY_HEADER = "x-api-key"
