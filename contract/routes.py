"""The route table: every route of the REST API, written once.

`stacks/api/stack.py` builds API Gateway's resources from it, the handlers register themselves under its paths, and
`lambdas/classify/openapi.py` writes the OpenAPI document from it. The types of bodies and answers are apart from it, in
`contract/bodies.py`: every function of the API imports this table, and would import the models of all others with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from contract.keys import KeyKind
from contract.limits import (
    MAX_LISTED_ANNOTATIONS,
    MAX_LISTED_BATCHES,
    MAX_LISTED_SHARDS,
    MAX_LISTED_TASKS,
    MAX_LISTED_TRAININGS,
)

STAGE_NAME = "v1"
"""API Gateway's stage, and so the first segment of every path on AWS."""


@dataclass(frozen=True, eq=False)
class Route:
    """One method of one resource: what it does, and what its answers mean."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "The answer"})
    """Each status of success, and what it means."""
    query: tuple[str, ...] = ()
    """Fields of the query, beside those of a page."""
    page: int | None = None
    """So many entries at most are answered at once, by `limit` and `after`."""
    etag: str = ""
    """The resource whose state an etag names: it is answered, and may be the condition of a change."""
    open: bool = False
    """Open routes are throttled but need neither key nor signature; all others are behind the stage's auth mode."""
    asks: bool = False
    """Whether a key that may only ask is enough; all others but the open ones take one that may manage."""

    @property
    def name(self) -> str:
        """Such as `GET /tasks/{task}`."""
        return f"{self.method} {self.path}"

    @property
    def needs(self) -> KeyKind | None:
        """The least that a key must be allowed; None where none is asked for."""
        return None if self.open else "ask" if self.asks else "manage"

    @property
    def rule(self) -> str:
        """The path as Powertools writes one: `/tasks/{task}` is `/tasks/<task>`."""
        return self.path.replace("{", "<").replace("}", ">")

    @property
    def function(self) -> str:
        """The folder of `lambdas/` whose handler answers, with that function's permissions."""
        return FUNCTIONS.get(self.path.split("/")[1], "classify")

    @property
    def creates(self) -> bool:
        """Whether it honours an Idempotency-Key."""
        return self.method == "POST" and not self.answers.keys().isdisjoint({201, 202})


FUNCTIONS = {
    **dict.fromkeys(("tasks", "uploads", "annotations", "images"), "annotate"),
    **dict.fromkeys(("trainings", "models", "batches", "endpoint"), "manage"),
}
"""By the first segment of a path; `classify` answers the others."""
_PAGE = {200: "A page of them"}

CLASSIFY = Route("POST", "/classify", "Which of these labels fit this image?", asks=True)
EMBED = Route("POST", "/embed", "Unit vectors of images and texts in CLIP's shared space", asks=True)
HEALTH = Route("GET", "/health", "Is the endpoint in service?", open=True)
OPENAPI = Route("GET", "/openapi.json", "This API, described", open=True)
PAGE = Route("GET", "/", "A page to try it in a browser", open=True)

LIST_TASKS = Route("GET", "/tasks", "The saved tasks", _PAGE, page=MAX_LISTED_TASKS, asks=True)
GET_TASK = Route("GET", "/tasks/{task}", "One saved task", {200: "The task"}, etag="task", asks=True)
PUT_TASK = Route(
    *("PUT", "/tasks/{task}", "Save a task: a question with a name"),
    {200: "It was replaced", 201: "It is new"},
    etag="task",
)
DELETE_TASK = Route("DELETE", "/tasks/{task}", "Forget a saved task", {204: "It is forgotten"}, etag="task")
TEACH_TASK = Route(
    *("POST", "/tasks/{task}/teach", "Let a task learn from annotations now, or bring back an earlier head"),
    {202: "It begins; GET /tasks/{task} tells what came of it"},
)
UNTEACH_TASK = Route(
    "DELETE", "/tasks/{task}/teach", "Let the words alone answer a task", {200: "They answer from now on"}
)
UPLOAD = Route(
    *("POST", "/uploads", "Where to send images that are used later by their s3_key"),
    {201: "One form per image"},
    asks=True,
)

POST_ANNOTATIONS = Route(
    *("POST", "/annotations", "Say something of images, to learn from"),
    {200: "All of it was there already, or nothing was good", 201: "It is stored"},
)
LIST_ANNOTATIONS = Route(
    *("GET", "/annotations", "A dataset's annotations and their balance", _PAGE),
    page=MAX_LISTED_ANNOTATIONS,
    query=("dataset",),
)
ERASE_IMAGE = Route(
    *("DELETE", "/annotations", "Forget an image and all that is said of it", {200: "There is no trace of it left"}),
    query=("image",),
)
_one = partial(Route, path="/annotations/{id}", query=("dataset",), etag="annotation")
GET_ANNOTATION = _one("GET", summary="One annotation", answers={200: "The annotation"})
PUT_ANNOTATION = _one("PUT", summary="Let an annotation say something else", answers={200: "It was changed"})
DELETE_ANNOTATION = _one("DELETE", summary="Forget an annotation", answers={204: "It is forgotten, its image is kept"})
GET_ANNOTATED_IMAGE = Route(
    "GET", "/images/{image}", "Where an annotated image can be had, or a small one of it", query=("size",)
)
POST_IMPORT = Route("POST", "/annotations/imports", "Take in many annotations from uploaded files", {202: "It begins"})
GET_IMPORT = Route("GET", "/annotations/imports/{id}", "How far an import is", {200: "The import"})

START_TRAINING = Route(
    *("POST", "/trainings", "Teach the model what a dataset says"),
    {202: "It was accepted, and begins", 200: "With dry_run: nothing was started"},
    query=("dry_run",),
)
LIST_TRAININGS = Route("GET", "/trainings", "The trainings, the newest first", _PAGE, page=MAX_LISTED_TRAININGS)
GET_TRAINING = Route("GET", "/trainings/{training}", "How a training is", {200: "The training"})
STOP_TRAINING = Route("DELETE", "/trainings/{training}", "Stop a training", {200: "It ends; what it has saved is kept"})
LIST_MODELS = Route("GET", "/models", "The versions of the model, and which one is live", {200: "All of them"})
GET_MODEL = Route("GET", "/models/{version}", "One version with its figures", {200: "The version"})
GET_REPORT = Route(
    *("GET", "/models/{version}/report", "What a training reports of its model"),
    {200: "Curves, tasks, mistakes, recipe, and where the same is a page"},
)
ADD_MODEL = Route("POST", "/models", "Bring along a CLIP or SigLIP checkpoint", {201: "It is registered"})
UPLOAD_MODEL = Route("POST", "/models/uploads", "Where to send the files of a checkpoint", {201: "One form per file"})
PROMOTE_MODEL = Route(
    *("POST", "/models/{version}/promote", "Let a version go live"),
    {202: "It begins; GET /models/{version} tells how it is"},
)

START_BATCH = Route("POST", "/batches", "Classify many stored images", {202: "It was accepted, and begins"})
LIST_BATCHES = Route("GET", "/batches", "The batches, the newest first", _PAGE, page=MAX_LISTED_BATCHES)
GET_BATCH = Route("GET", "/batches/{batch}", "How far a batch is", {200: "The batch"})
GET_BATCH_FILES = Route(
    *("GET", "/batches/{batch}/files", "Where the answers of a batch can be had", _PAGE), page=MAX_LISTED_SHARDS
)
STOP_BATCH = Route("DELETE", "/batches/{batch}", "Stop a batch", {200: "It ends; what is done is kept"})
RESUME_BATCH = Route(
    *("POST", "/batches/{batch}/resume", "Go on with a batch that failed or stopped"),
    {202: "It goes on with what is missing"},
)

GET_ENDPOINT = Route("GET", "/endpoint", "Is the stage paused, and what does it cost?")
PAUSE_ENDPOINT = Route(
    *("POST", "/endpoint/pause", "Delete the endpoint, which costs, and keep everything else"),
    {202: "It begins; GET /endpoint tells how it is"},
)
RESUME_ENDPOINT = Route(
    *("POST", "/endpoint/resume", "Bring back the version that was live"),
    {202: "It begins; GET /endpoint tells how it is"},
)

OPERATIONS = {name.lower(): each for name, each in list(globals().items()) if isinstance(each, Route)}
"""All of them by the name of what they do, in this order."""
ROUTES = tuple(OPERATIONS.values())
ASK_ROUTES = tuple(route for route in ROUTES if route.needs == "ask")
"""Those that are behind a key, and take any."""
