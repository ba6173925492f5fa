"""The route table: every route of the REST API, written once.

`stacks/api/stack.py` builds API Gateway resources from it, the handlers register themselves under its paths,
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
    function: Literal["classify", "annotate", "manage"] = "classify"
    """The folder of `lambdas/` whose handler answers, with that function's permissions."""

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

POST_ANNOTATIONS = Route("POST", "/annotations", "Say something of images, to learn from", function="annotate")
LIST_ANNOTATIONS = Route("GET", "/annotations", "A dataset's annotations and their balance", function="annotate")
ERASE_IMAGE = Route("DELETE", "/annotations", "Forget an image and all that is said of it", function="annotate")
GET_ANNOTATION = Route("GET", "/annotations/{id}", "One annotation", function="annotate")
PUT_ANNOTATION = Route("PUT", "/annotations/{id}", "Let an annotation say something else", function="annotate")
DELETE_ANNOTATION = Route("DELETE", "/annotations/{id}", "Forget an annotation", function="annotate")
POST_IMPORT = Route("POST", "/annotations/imports", "Take in many annotations from uploaded files", function="annotate")
GET_IMPORT = Route("GET", "/annotations/imports/{id}", "How far an import is", function="annotate")

START_TRAINING = Route("POST", "/trainings", "Teach the model what a dataset says", function="manage")
LIST_TRAININGS = Route("GET", "/trainings", "The trainings, the newest first", function="manage")
GET_TRAINING = Route("GET", "/trainings/{training}", "How a training is", function="manage")
STOP_TRAINING = Route("DELETE", "/trainings/{training}", "Stop a training", function="manage")
LIST_MODELS = Route("GET", "/models", "The versions of the model, and which one is live", function="manage")
GET_MODEL = Route("GET", "/models/{version}", "One version with its figures", function="manage")
ADD_MODEL = Route("POST", "/models", "Bring along a CLIP checkpoint", function="manage")
PROMOTE_MODEL = Route("POST", "/models/{version}/promote", "Let a version go live", function="manage")

START_BATCH = Route("POST", "/batches", "Classify many stored images", function="manage")
LIST_BATCHES = Route("GET", "/batches", "The batches, the newest first", function="manage")
GET_BATCH = Route("GET", "/batches/{batch}", "How far a batch is", function="manage")
STOP_BATCH = Route("DELETE", "/batches/{batch}", "Stop a batch", function="manage")
RESUME_BATCH = Route("POST", "/batches/{batch}/resume", "Go on with a batch that failed or stopped", function="manage")

ROUTES = (
    *(CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE),
    *(LIST_TASKS, GET_TASK, PUT_TASK, DELETE_TASK, UPLOAD),
    *(POST_ANNOTATIONS, LIST_ANNOTATIONS, ERASE_IMAGE, GET_ANNOTATION, PUT_ANNOTATION, DELETE_ANNOTATION),
    *(POST_IMPORT, GET_IMPORT),
    *(START_TRAINING, LIST_TRAININGS, GET_TRAINING, STOP_TRAINING),
    *(LIST_MODELS, GET_MODEL, ADD_MODEL, PROMOTE_MODEL),
    *(START_BATCH, LIST_BATCHES, GET_BATCH, STOP_BATCH, RESUME_BATCH),
)

STAGE_NAME = "v1"
"""API Gateway's stage, and so the first segment of every path on AWS."""

API_KEY_HEADER = "x-api-key"
