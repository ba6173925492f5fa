"""The route table: every route of the REST API, written once.

`stacks/api.py` builds API Gateway resources from it, the handlers register themselves under its paths,
and `lambdas/openapi/` describes it.
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

    @property
    def rule(self) -> str:
        """The path as Powertools writes one: `/tasks/{task}` is `/tasks/<task>`."""
        return self.path.replace("{", "<").replace("}", ">")


CLASSIFY = Route("POST", "/classify", "Which of these labels fit this image?")
EMBED = Route("POST", "/embed", "Unit vectors of images and texts in CLIP's shared space")
HEALTH = Route("GET", "/health", "Is the endpoint in service?", open=True)
OPENAPI = Route("GET", "/openapi.json", "This API, described", open=True)
PAGE = Route("GET", "/", "A page to try it in a browser", open=True)

LIST_TASKS = Route("GET", "/tasks", "The saved tasks", function="annotate")
GET_TASK = Route("GET", "/tasks/{task}", "One saved task", function="annotate")
PUT_TASK = Route("PUT", "/tasks/{task}", "Save a task: a question with a name", function="annotate")
DELETE_TASK = Route("DELETE", "/tasks/{task}", "Forget a saved task", function="annotate")
UPLOAD = Route("POST", "/uploads", "Where to send images that are used later by their s3_key", function="annotate")

ROUTES = (
    *(CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE),
    *(LIST_TASKS, GET_TASK, PUT_TASK, DELETE_TASK, UPLOAD),
)

STAGE_NAME = "v1"
"""API Gateway's stage, and so the first segment of every path on AWS."""

API_KEY_HEADER = "x-api-key"
