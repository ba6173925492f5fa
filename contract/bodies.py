"""What each route takes and answers, by type: `lambdas/classify/openapi.py` describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contract import annotations, routes
from contract.answers import Classification, Embeddings, Health
from contract.batches import BatchBody, BatchFiles, BatchList, BatchView
from contract.endpoint import EndpointChange, EndpointView
from contract.images import ImageAnswer
from contract.imports import AnnotationImportBody, ImportView
from contract.models import ImportBody, ModelList, ModelView, PromoteBody, Promotion
from contract.questions import Task, TaskList
from contract.reports import ReportView
from contract.requests import ClassifyBody, EmbedBody
from contract.routes import Route
from contract.taught import TaskView, Taught, TeachTaskBody
from contract.trainings import TrainingBody, TrainingCheck, TrainingList, TrainingView
from contract.uploads import CheckpointUploads, CheckpointUploadsBody, Uploads, UploadsBody


@dataclass(frozen=True)
class Bodies:
    """Those of one route, as types."""

    answer: Any = None
    """Of the answer's JSON; `str` is a page of HTML, None is no body."""
    request: Any = None
    """Of the JSON body; one that is `… | None` may be left out."""
    other_answers: Mapping[int, Any] = field(default_factory=dict)
    """The types of the answers with some statuses, in place of `answer`."""


BODIES: Mapping[Route, Bodies] = {
    routes.CLASSIFY: Bodies(Classification, ClassifyBody),
    routes.EMBED: Bodies(Embeddings, EmbedBody),
    routes.HEALTH: Bodies(Health),
    routes.OPENAPI: Bodies(dict),
    routes.PAGE: Bodies(str),
    routes.LIST_TASKS: Bodies(TaskList),
    routes.GET_TASK: Bodies(TaskView),
    routes.PUT_TASK: Bodies(Task, Task),
    routes.DELETE_TASK: Bodies(),
    routes.TEACH_TASK: Bodies(Taught, TeachTaskBody | None),
    routes.UNTEACH_TASK: Bodies(Taught),
    routes.UPLOAD: Bodies(Uploads, UploadsBody | None),
    routes.POST_ANNOTATIONS: Bodies(annotations.AnnotationsAnswer, annotations.AnnotationsRequest),
    routes.LIST_ANNOTATIONS: Bodies(annotations.AnnotationList),
    routes.ERASE_IMAGE: Bodies(annotations.Erased),
    routes.GET_ANNOTATION: Bodies(annotations.Annotation),
    routes.PUT_ANNOTATION: Bodies(annotations.Annotation, annotations.AnnotationBody),
    routes.DELETE_ANNOTATION: Bodies(),
    routes.GET_ANNOTATED_IMAGE: Bodies(ImageAnswer),
    routes.POST_IMPORT: Bodies(ImportView, AnnotationImportBody),
    routes.GET_IMPORT: Bodies(ImportView),
    routes.START_TRAINING: Bodies(TrainingView, TrainingBody, {200: TrainingCheck}),
    routes.LIST_TRAININGS: Bodies(TrainingList),
    routes.GET_TRAINING: Bodies(TrainingView),
    routes.STOP_TRAINING: Bodies(TrainingView),
    routes.LIST_MODELS: Bodies(ModelList),
    routes.GET_MODEL: Bodies(ModelView),
    routes.GET_REPORT: Bodies(ReportView),
    routes.ADD_MODEL: Bodies(ModelView, ImportBody),
    routes.UPLOAD_MODEL: Bodies(CheckpointUploads, CheckpointUploadsBody),
    routes.PROMOTE_MODEL: Bodies(Promotion, PromoteBody | None),
    routes.START_BATCH: Bodies(BatchView, BatchBody),
    routes.LIST_BATCHES: Bodies(BatchList),
    routes.GET_BATCH: Bodies(BatchView),
    routes.GET_BATCH_FILES: Bodies(BatchFiles),
    routes.STOP_BATCH: Bodies(BatchView),
    routes.RESUME_BATCH: Bodies(BatchView),
    routes.GET_ENDPOINT: Bodies(EndpointView),
    routes.PAUSE_ENDPOINT: Bodies(EndpointChange),
    routes.RESUME_ENDPOINT: Bodies(EndpointChange),
}
