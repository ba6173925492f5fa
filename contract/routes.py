"""The route table: every route of the REST API, written once.

`stacks/api/stack.py` builds API Gateway's resources from it, the handlers register themselves under its paths, and
`lambdas/classify/openapi.py` writes the OpenAPI document from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from contract import annotations
from contract.answers import Classification, Embeddings, Health
from contract.batches import MAX_LISTED_BATCHES, MAX_LISTED_SHARDS, BatchBody, BatchFiles, BatchList, BatchView
from contract.endpoint import EndpointChange, EndpointView
from contract.images import ImageAnswer
from contract.imports import AnnotationImportBody, ImportView
from contract.keys import KeyKind
from contract.models import ImportBody, ModelList, ModelView, PromoteBody, Promotion
from contract.questions import MAX_LISTED_TASKS, Task, TaskList
from contract.reports import ReportView
from contract.requests import ClassifyBody, EmbedBody
from contract.taught import TaskView, Taught, TeachTaskBody
from contract.trainings import MAX_LISTED_TRAININGS, TrainingBody, TrainingCheck, TrainingList, TrainingView
from contract.uploads import CheckpointUploads, CheckpointUploadsBody, Uploads, UploadsBody

STAGE_NAME = "v1"
"""API Gateway's stage, and so the first segment of every path on AWS."""


@dataclass(frozen=True, eq=False)
class Route:
    """One method of one resource: what it takes and what it answers."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    answer: Any = None
    """The type of the answer's JSON; `str` is a page of HTML, None is no body."""
    answers: Mapping[int, str] = field(default_factory=lambda: {200: "The answer"})
    """Each status of success, and what it means."""
    body: Any = None
    """The type of the JSON body; one that is `… | None` may be left out."""
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
    other_answers: Mapping[int, Any] = field(default_factory=dict)
    """The types of the answers with some statuses, in place of `answer`."""

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

CLASSIFY = Route(
    "POST", "/classify", "Which of these labels fit this image?", Classification, body=ClassifyBody, asks=True
)
EMBED = Route(
    *("POST", "/embed", "Unit vectors of images and texts in CLIP's shared space", Embeddings),
    body=EmbedBody,
    asks=True,
)
HEALTH = Route("GET", "/health", "Is the endpoint in service?", Health, open=True)
OPENAPI = Route("GET", "/openapi.json", "This API, described", dict, open=True)
PAGE = Route("GET", "/", "A page to try it in a browser", str, open=True)

LIST_TASKS = Route("GET", "/tasks", "The saved tasks", TaskList, _PAGE, page=MAX_LISTED_TASKS, asks=True)
GET_TASK = Route("GET", "/tasks/{task}", "One saved task", TaskView, {200: "The task"}, etag="task", asks=True)
PUT_TASK = Route(
    *("PUT", "/tasks/{task}", "Save a task: a question with a name"),
    *(Task, {200: "It was replaced", 201: "It is new"}, Task),
    etag="task",
)
DELETE_TASK = Route("DELETE", "/tasks/{task}", "Forget a saved task", None, {204: "It is forgotten"}, etag="task")
TEACH_TASK = Route(
    *("POST", "/tasks/{task}/teach", "Let a task learn from annotations now, or bring back an earlier head"),
    *(Taught, {202: "It begins; GET /tasks/{task} tells what came of it"}, TeachTaskBody | None),
)
UNTEACH_TASK = Route(
    "DELETE", "/tasks/{task}/teach", "Let the words alone answer a task", Taught, {200: "They answer from now on"}
)
UPLOAD = Route(
    *("POST", "/uploads", "Where to send images that are used later by their s3_key"),
    *(Uploads, {201: "One form per image"}, UploadsBody | None),
    asks=True,
)

POST_ANNOTATIONS = Route(
    *("POST", "/annotations", "Say something of images, to learn from", annotations.AnnotationsAnswer),
    *({200: "All of it was there already, or nothing was good", 201: "It is stored"}, annotations.AnnotationsRequest),
)
LIST_ANNOTATIONS = Route(
    *("GET", "/annotations", "A dataset's annotations and their balance", annotations.AnnotationList, _PAGE),
    page=annotations.MAX_LISTED_ANNOTATIONS,
    query=("dataset",),
)
ERASE_IMAGE = Route(
    *("DELETE", "/annotations", "Forget an image and all that is said of it"),
    *(annotations.Erased, {200: "There is no trace of it left"}),
    query=("image",),
)
_one = partial(Route, path="/annotations/{id}", query=("dataset",), etag="annotation")
GET_ANNOTATION = _one("GET", summary="One annotation", answer=annotations.Annotation, answers={200: "The annotation"})
PUT_ANNOTATION = _one(
    "PUT",
    summary="Let an annotation say something else",
    answer=annotations.Annotation,
    answers={200: "It was changed"},
    body=annotations.AnnotationBody,
)
DELETE_ANNOTATION = _one("DELETE", summary="Forget an annotation", answers={204: "It is forgotten, its image is kept"})
GET_ANNOTATED_IMAGE = Route(
    *("GET", "/images/{image}", "Where an annotated image can be had, or a small one of it", ImageAnswer),
    query=("size",),
)
POST_IMPORT = Route(
    *("POST", "/annotations/imports", "Take in many annotations from uploaded files"),
    *(ImportView, {202: "It begins"}, AnnotationImportBody),
)
GET_IMPORT = Route("GET", "/annotations/imports/{id}", "How far an import is", ImportView, {200: "The import"})

START_TRAINING = Route(
    *("POST", "/trainings", "Teach the model what a dataset says"),
    *(TrainingView, {202: "It was accepted, and begins", 200: "With dry_run: nothing was started"}, TrainingBody),
    query=("dry_run",),
    other_answers={200: TrainingCheck},
)
LIST_TRAININGS = Route(
    "GET", "/trainings", "The trainings, the newest first", TrainingList, _PAGE, page=MAX_LISTED_TRAININGS
)
GET_TRAINING = Route("GET", "/trainings/{training}", "How a training is", TrainingView, {200: "The training"})
STOP_TRAINING = Route(
    "DELETE", "/trainings/{training}", "Stop a training", TrainingView, {200: "It ends; what it has saved is kept"}
)
LIST_MODELS = Route(
    "GET", "/models", "The versions of the model, and which one is live", ModelList, {200: "All of them"}
)
GET_MODEL = Route("GET", "/models/{version}", "One version with its figures", ModelView, {200: "The version"})
GET_REPORT = Route(
    *("GET", "/models/{version}/report", "What a training reports of its model"),
    *(ReportView, {200: "Curves, tasks, mistakes, recipe, and where the same is a page"}),
)
ADD_MODEL = Route(
    "POST", "/models", "Bring along a CLIP or SigLIP checkpoint", ModelView, {201: "It is registered"}, ImportBody
)
UPLOAD_MODEL = Route(
    *("POST", "/models/uploads", "Where to send the files of a checkpoint"),
    *(CheckpointUploads, {201: "One form per file"}, CheckpointUploadsBody),
)
PROMOTE_MODEL = Route(
    *("POST", "/models/{version}/promote", "Let a version go live"),
    *(Promotion, {202: "It begins; GET /models/{version} tells how it is"}, PromoteBody | None),
)

START_BATCH = Route(
    "POST", "/batches", "Classify many stored images", BatchView, {202: "It was accepted, and begins"}, BatchBody
)
LIST_BATCHES = Route("GET", "/batches", "The batches, the newest first", BatchList, _PAGE, page=MAX_LISTED_BATCHES)
GET_BATCH = Route("GET", "/batches/{batch}", "How far a batch is", BatchView, {200: "The batch"})
GET_BATCH_FILES = Route(
    *("GET", "/batches/{batch}/files", "Where the answers of a batch can be had"),
    *(BatchFiles, {200: "A page of them"}),
    page=MAX_LISTED_SHARDS,
)
STOP_BATCH = Route("DELETE", "/batches/{batch}", "Stop a batch", BatchView, {200: "It ends; what is done is kept"})
RESUME_BATCH = Route(
    *("POST", "/batches/{batch}/resume", "Go on with a batch that failed or stopped"),
    *(BatchView, {202: "It goes on with what is missing"}),
)

GET_ENDPOINT = Route("GET", "/endpoint", "Is the stage paused, and what does it cost?", EndpointView)
PAUSE_ENDPOINT = Route(
    *("POST", "/endpoint/pause", "Delete the endpoint, which costs, and keep everything else"),
    *(EndpointChange, {202: "It begins; GET /endpoint tells how it is"}),
)
RESUME_ENDPOINT = Route(
    *("POST", "/endpoint/resume", "Bring back the version that was live"),
    *(EndpointChange, {202: "It begins; GET /endpoint tells how it is"}),
)

OPERATIONS = {name.lower(): each for name, each in list(globals().items()) if isinstance(each, Route)}
"""All of them by the name of what they do, in this order."""
ROUTES = tuple(OPERATIONS.values())
ASK_ROUTES = tuple(route for route in ROUTES if route.needs == "ask")
"""Those that are behind a key, and take any."""
