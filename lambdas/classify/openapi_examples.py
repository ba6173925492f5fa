"""What the OpenAPI document says of each operation beside the route table: what it does, and an answer of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contract import problems, routes
from contract.limits import MAX_INLINE_IMAGE_BYTES
from contract.questions import Task

SHA256 = "9b2c7d1f0a4e5c6b8d7f3a2e1c0b9d8f7e6a5c4b3d2e1f0a9b8c7d6e5f4a3b2c"
REQUEST_ID = "5f6f0a52-4c1b-4a4e-9c0e-6a1f5a1f0c55"
CREATED = "2026-11-28T10:00:00+00:00"
_ID = "20261128100000-1a2b3c"
_ANNOTATION = SHA256[:24] + "0f1e2d3c4b5a"
_HASH = "e0f0f8fcfe" * 40
_MODEL = "s3://artifacts-bucket/models/wordsight-dev-20261128100000-1a2b3c/"
_VERSION = f"wordsight-dev-{_ID}"

_annotation = {
    **{"id": _ANNOTATION, "dataset": "shapes", "image": SHA256, "perceptual_hash": _HASH, "created": CREATED},
    **{"source": "api", "sentences": ["a red square"], "label": "red", "task": "colour", "split": None},
}
_import = {
    **{"id": _ID, "created": CREATED, "updated": "2026-11-28T10:00:09+00:00", "state": "done", "reason": None},
    **{"dataset": "pets", "records": 1200, "stored": 1199, "problem_records": 1},
    "problems": [
        {
            "place": "uploads/pets/metadata.jsonl:17",
            "problem": problems.UnprocessableImage("the image is not one: send a JPEG, PNG or WebP").body(),
        }
    ],
    **{"problems_s3_prefix": f"imports/{_ID}/", "layout": "jsonl: metadata.jsonl names images that are there"},
    **{"left_out": {"hidden files": 3}, "notes": {}, "ignored_fields": {"weight": 1200}},
}
_gate = {"passed": True, "reasons": [], "figures": {"accuracy": 0.947, "base_accuracy": 0.07}}
_promotion = {
    **{"id": _ID, "version": _VERSION, "artifact_s3_uri": _MODEL, "served_version": _VERSION, "created": CREATED},
    **{"state": "requested", "reason": None, "previous_s3_uri": None},
}
_estimated = {"estimated_s": 900, "estimated_usd": 0.18, "estimate": "by the newest training of this stage"}
_history = [
    {"step": 0, "loss": None, "validation_loss": 2.31, "accuracy": 0.33},
    {"step": 10, "loss": 1.94, "validation_loss": None, "accuracy": None},
    {"step": 120, "loss": 0.41, "validation_loss": 0.52, "accuracy": 0.91},
]
_training = {
    **{"id": _ID, "created": CREATED, "version": _VERSION, "dataset": "pets", "base_version": "base"},
    **{"base_s3_uri": "s3://artifacts-bucket/models/none/", "hyperparameters": {"epochs": "5"}, "promote": "manual"},
    **{"max_runtime_s": 3600, "spot": False, "state": "training", "status": "Training", "step": 120, "steps": 300},
    **{"metrics": {"train:loss": 0.41}, "gate": None, "verdict": None, "promotion": None},
    "reference_s3_prefix": None,
    **{"reason": None, "force": False, "images_per_step": 128, "planned_steps": 300, "warnings": []},
    **{"phase": "training", "left_s": 80, "history": _history},
    **_estimated,
}
_accepted = {
    **_training,
    **{
        "state": "queued",
        "status": None,
        "phase": "starting",
        "step": None,
        "left_s": None,
        "metrics": {},
        "history": [],
    },
}
_check = {
    **{"starts": True, "missing": [], "warnings": [], "dataset": "pets", "base_version": "base"},
    **{"records": 1200, "counted": 1200, "images": {"train": 1080, "validation": 120}},
    "labels": {"pet": {"cat": {"train": 540, "validation": 60}, "dog": {"train": 540, "validation": 60}}},
    "reference_images": 1000,
    **{"telling_images": 120, "needed_images": 5, "steps": 300, "images_per_step": 128},
    **{"max_runtime_s": 3600, "max_usd": 0.74},
    **_estimated,
}
_card = {"knows": "This model knows photographs of the web.", "languages": ["en"], "licence": "MIT"}
_summary = {
    **_card,
    **{"version": _VERSION, "parent": "base", "created": CREATED, "source": "training", "dataset": "pets"},
    **{"artifact_s3_uri": _MODEL, "gate": _gate, "live": False},
}
_model = {
    **_summary,
    **{"served_version": _VERSION, "training": _ID, "data_digest": SHA256, "image": None, "git_revision": None},
    **{"metrics": {"step": 300}, "promotion": None},
    "verdict": "It may go live: it gets 94 % of 120 validation images right, and its base 33 % (75 won, 2 lost).",
}
_report = {
    **{"version": _VERSION, "created": CREATED, "parent": "base", "history": _history, "reported_on": "test"},
    "outcome": "It gets 94 % of 120 validation images right, and its base 33 % (75 won, 2 lost).",
    "choice": "Published are 75% fine-tuned and 25% base weights: the best mixture on the new domain that is sure to …",
    **{"accuracy_before": 0.33, "accuracy_after": 0.94, "validation_images": 120, "won": 75, "lost": 2},
    "tasks": [
        {
            **{"name": "pet", "kind": "new", "images": 120, "chance": 0.5, "before": 0.51, "after": 0.95},
            **{"low": 0.35, "high": 0.53},
        }
    ],
    "confusions": [{"task": "pet", "labels": ["cat", "dog"], "counts": [[57, 3], [3, 57]], "left_out": 0}],
    "calibration": [{"images": 120, "confidence": 0.93, "accuracy": 0.95}],
    **{"mean_drop": 0.004, "worst_drop": 0.012, "worst_task": "relation"},
    "reference": {"images": 300, "agreement": 0.983, "agreement_at_least": 0.966},
    **{"max_forgetting": 0.02, "max_task_forgetting": 0.1, "alpha": 0.75},
    "frontier": [
        {
            **{"alpha": 0.75, "published": True, "accuracy": 0.94, "mean_drop": 0.004, "mean_drop_at_most": 0.009},
            **{"worst_drop": 0.012, "worst_drop_at_most": 0.03, "worst_task": "relation"},
        }
    ],
    "mistakes": [
        {
            **{"image": SHA256, "task": "pet", "said": "dog", "score": 0.91, "truth": "cat", "truth_score": 0.09},
            "thumbnail": "/9j/4AAQSkZJRgABAQAAAQABAAD/2w==",
        }
    ],
    **{"recipe": {"epochs": 5}, "commands": ["python -m model.training epochs=5"], "data_digest": SHA256},
    **{"gate": _gate, "verdict": _model["verdict"], "expires_in_s": 900},
    "html_url": f"https://artifacts-bucket.s3.us-east-1.amazonaws.com/models/{_VERSION}/report.html?...",
}
_batch = {
    **{"id": _ID, "created": CREATED, "state": "running", "reason": None, "s3_prefix": "collections/welds/"},
    **{"s3_key": None, "images": 10_000, "done_images": 1500, "results": 1499, "problems": 1, "shards": 20},
    **{"done_shards": 3, "results_s3_prefix": f"batches/{_ID}/results/"},
    **{"problems_s3_prefix": f"batches/{_ID}/problems/"},
}
_pause = {
    **{"id": _ID, "action": "pause", "by": "request", "created": CREATED, "updated": CREATED, "state": "requested"},
    **{"reason": None, "attempt": 1, "paused_since": None, "paused_by": None, "served_version": None},
}
_paused = {**_pause, "state": "paused", "paused_since": CREATED, "paused_by": "request", "served_version": _VERSION}
_weather = Task.EXAMPLES["weather"]
_worth = {
    "before": {"accuracy": 0.31, "calibration_error": 0.18},
    "after": {"accuracy": 0.67, "calibration_error": 0.05},
    "gain": 0.84,
}
_taught = {
    **{"state": "live", "teaching": False, "progress": None, "head": SHA256},
    "learnt": {
        **{"updated": CREATED, "model_version": "base", "images": {"crack": 16, "pore": 9}, "left_out": 0, **_worth},
        **{"reason": None, "advice": ["fewer than 16 images: pore (9)"]},
        "doubtful": [
            {
                **{"id": _ANNOTATION, "dataset": "welds", "image": SHA256, "label": "pore"},
                **{"answer": "crack", "doubt": 0.93},
            }
        ],
    },
    "heads": [{"sha256": SHA256, "model_version": "base", "created": CREATED, "images": 25, **_worth}],
}
_defect = {"candidate_labels": [{"label": "crack"}, {"label": "pore"}]}


class Described(NamedTuple):
    """What an operation does, for people, and what it answers, None where that has no body. `others`: by its status,
    what is another answer.
    """

    does: str
    answer: Any = None
    others: Mapping[int, Any] = {}


DESCRIBED: Mapping[routes.Route, Described] = {
    routes.CLASSIFY: Described(
        "Scores each label by how well it fits the image. Several questions of one image are asked with `tasks`, "
        "several images with a list; the answer has the same shape.",
        [{"label": "a red square", "score": 0.987}, {"label": "a blue square", "score": 0.013}],
    ),
    routes.EMBED: Described(
        "Answers with CLIP's vectors, whose products are similarities of images and texts.",
        {"images": [[0.6, 0.8]], "texts": [[0.8, 0.6]]},
    ),
    routes.HEALTH: Described(
        "Tells whether the model can be asked now, and what it knows.",
        {"status": "InService", "endpoint": "wordsight-dev", **_card},
    ),
    routes.OPENAPI: Described("Answers with this document.", {"openapi": "3.1.0", "info": {"title": "Wordsight"}}),
    routes.PAGE: Described(
        "Answers with one page of HTML, which asks this API.", "<!doctype html><title>Wordsight</title>"
    ),
    routes.LIST_TASKS: Described(
        "Lists saved tasks by name.",
        {
            "tasks": [
                {
                    **{"name": "weather", "etag": "0f1e2d3c", "labels": 2, "multi_label": True},
                    "description": _weather["description"],
                }
            ],
            "next": None,
        },
    ),
    routes.GET_TASK: Described(
        "Answers with what can be edited and put back, and in `taught` with what annotated images have taught it.",
        {**_defect, "taught": _taught},
    ),
    routes.PUT_TASK: Described("Keeps a question under a name, by which `task` asks it from then on.", _weather),
    routes.DELETE_TASK: Described(
        "Forgets a task and what it has learnt. Requests that name it are a 404 from then on."
    ),
    routes.TEACH_TASK: Described(
        "Looks at the annotations that have one of the task's labels, as every change of them does by itself, and lets "
        "the task answer by what they teach. With `head` an earlier state comes back.",
        {**_taught, "teaching": True},
    ),
    routes.UNTEACH_TASK: Described(
        "Lets the words alone answer, and nothing teach the task until POST asks for it. Its heads are kept.",
        {**_taught, "state": "paused", "head": None},
    ),
    routes.UPLOAD: Described(
        "Answers with forms that send images straight to the bucket, for images too large for the API. They are kept "
        "for a day.",
        {
            "uploads": [
                {
                    "url": "https://data-bucket.s3.us-east-1.amazonaws.com/",
                    "fields": {"key": "uploads/1a2b3c", "policy": "eyJleHBpcmF0aW9uIjogIi4uLiJ9"},
                    **{"s3_key": "uploads/1a2b3c", "max_bytes": 24_000_000, "expires_in_s": 900},
                }
            ]
        },
    ),
    routes.POST_ANNOTATIONS: Described(
        "Keeps what is true of images: sentences, a label, or both. The same annotation sent twice is one record.",
        {"id": _ANNOTATION, "dataset": "shapes", "image": SHA256, "new": True},
    ),
    routes.LIST_ANNOTATIONS: Described(
        "Lists a dataset's annotations by id, and on the first page how many there are of each split and label.",
        {
            "annotations": [_annotation],
            "next": None,
            "counts": {"records": 1, "counted": 1, "splits": {"": 1}, "labels": {"colour": {"red": 1}}},
        },
    ),
    routes.ERASE_IMAGE: Described(
        "Forgets an image with everything that was said of it in any dataset, former versions included, and every head "
        "that it was in.",
        {"image": SHA256, "annotations": 2},
    ),
    routes.GET_ANNOTATION: Described("Answers with one record.", _annotation),
    routes.PUT_ANNOTATION: Described("Puts another saying in the place of one; its image stays.", _annotation),
    routes.DELETE_ANNOTATION: Described("Forgets one record."),
    routes.GET_ANNOTATED_IMAGE: Described(
        "Answers with an address from which the image can be had for a while, without other credentials; with `size` "
        "the image itself, as a small JPEG in base64. The model's container makes it, once, and a browser may keep it.",
        {
            "image": SHA256,
            "url": f"https://data-bucket.s3.us-east-1.amazonaws.com/images/{SHA256}?...",
            "expires_in_s": 900,
        },
    ),
    routes.POST_IMPORT: Described(
        "Begins to read uploaded lines, tables or folders. `GET /annotations/imports/{id}` tells how far it is.",
        {**_import, "state": "running", "records": 0, "stored": 0, "problem_records": 0, "problems": []},
    ),
    routes.GET_IMPORT: Described("Tells how far it is, and what was left out and why.", _import),
    routes.START_TRAINING: Described(
        "Begins to fine-tune a model on a dataset of annotations. `GET /trainings/{training}` tells how it is.",
        _accepted,
        {200: _check},
    ),
    routes.LIST_TRAININGS: Described(
        "Lists trainings by age.", {"trainings": [{**_training, "history": []}], "next": None}
    ),
    routes.GET_TRAINING: Described(
        "Tells state, phase, step, curves and how long it will take, and in the end what became of it.", _training
    ),
    routes.STOP_TRAINING: Described(
        "Stops the training job, whose last checkpoint is kept.",
        {**_training, "state": "stopped", "phase": None, "left_s": None},
    ),
    routes.LIST_MODELS: Described(
        "Lists all versions that can be promoted.",
        {"models": [_summary], "live_s3_uri": _MODEL, "rolling_out": None},
    ),
    routes.GET_MODEL: Described("Answers with origin, verdict and figures of a version.", _model),
    routes.GET_REPORT: Described(
        "Answers with what a training has found out: curves, tasks before and after, confusions, calibration, mistakes "
        "with small pictures, recipe. `html_url` is the same as a page, which a browser can open for a while.",
        _report,
    ),
    routes.ADD_MODEL: Described(
        "Registers a checkpoint of Hugging Face's format that lies in the artifacts bucket, once it was checked.",
        {**_model, "parent": None, "source": "import", "training": None, "dataset": None}
        | {"gate": None, "verdict": None},
    ),
    routes.UPLOAD_MODEL: Described(
        "Answers with a form for each file of a checkpoint, by which it is sent straight to the artifacts bucket.",
        {
            "s3_uri": f"s3://artifacts-bucket/models/uploads/{_ID}/",
            "uploads": [
                {
                    **{"name": "config.json", "url": "https://artifacts-bucket.s3.us-east-1.amazonaws.com/"},
                    "fields": {"key": f"models/uploads/{_ID}/config.json", "policy": "eyJleHBpcmF0aW9uIjogIi4uLiJ9"},
                    **{"max_bytes": 5_000_000_000, "expires_in_s": 3600},
                }
            ],
        },
    ),
    routes.PROMOTE_MODEL: Described(
        "Updates the endpoint to a version, blue/green, asks it, and goes back if its answers are wrong.", _promotion
    ),
    routes.START_BATCH: Described(
        "Begins to classify all images under a prefix of the data bucket, or those that a file names.",
        {**_batch, "state": "planning", "images": None, "done_images": 0, "results": 0, "problems": 0, "shards": None},
    ),
    routes.LIST_BATCHES: Described("Lists batches by age.", {"batches": [_batch], "next": None}),
    routes.GET_BATCH: Described(
        "Tells how many images are done, and where in the bucket the answers are, one JSON line per image.", _batch
    ),
    routes.GET_BATCH_FILES: Described(
        "Answers with addresses from which the lines of results and problems can be had, without other credentials.",
        {
            "results": [f"https://data-bucket.s3.us-east-1.amazonaws.com/batches/{_ID}/results/000000.jsonl?..."],
            **{"problems": [], "expires_in_s": 900, "next": None},
        },
    ),
    routes.STOP_BATCH: Described("Stops after the images that are being classified.", {**_batch, "state": "stopped"}),
    routes.RESUME_BATCH: Described("Classifies the images that have no answer yet.", _batch),
    routes.GET_ENDPOINT: Described(
        "Tells whether there is an endpoint, which version it serves or will serve again, and what it costs.",
        {
            **{"state": "paused", "detail": f"the stage is paused since {CREATED}, as somebody asked for"},
            **{"since": CREATED, "by": "request", "version": _VERSION, "model_s3_uri": _MODEL},
            **{"usd_per_hour": 0.0, "usd_per_hour_in_service": 0.214, "change": _paused},
        },
    ),
    routes.PAUSE_ENDPOINT: Described(
        "Deletes the endpoint, which is nearly all that a stage costs. Tasks, annotations, models and which of them is "
        "live are kept. Until it is resumed, what needs the endpoint is answered with 503 and why.",
        _pause,
    ),
    routes.RESUME_ENDPOINT: Described(
        "Makes the endpoint again, asks it, and tells whether it serves the version that was live.",
        {**_paused, "action": "resume", "state": "requested"},
    ),
}

REFUSED: Mapping[str, problems.ProblemError] = {
    "bad_request": problems.BadRequest('candidate_labels is missing: give at least two, such as ["cat", "dog"]'),
    "forbidden": problems.Forbidden("the API key is missing or wrong: send it as x-api-key"),
    "not_found": problems.NotFound("there is no task 'weather': GET /tasks lists them"),
    "conflict": problems.Conflict("a promotion is under way: wait until it has ended"),
    "precondition_failed": problems.PreconditionFailed("somebody has changed it: read it again"),
    "payload_too_large": problems.PayloadTooLarge(
        f"5,000,000 bytes of images, at most {MAX_INLINE_IMAGE_BYTES:,} are allowed in one request"
    ),
    "unsupported_media_type": problems.UnsupportedMediaType("no content-type, allowed is application/json"),
    "unprocessable_image": problems.UnprocessableImage("the image is not one: send a JPEG, PNG or WebP"),
    "too_many_requests": problems.TooManyRequests("slow down and try again", retry_after_s=1),
}
"""A problem of each kind that a caller can mend, by its name in the document."""
FAILED: Mapping[str, problems.ProblemError] = {
    "internal_error": problems.InternalError("something failed on our side: quote the request id"),
    "bad_gateway": problems.BadGateway("the model failed: try again"),
    "service_unavailable": problems.ServiceUnavailable("the endpoint is busy: try again", retry_after_s=1),
    "gateway_timeout": problems.GatewayTimeout("the answer took too long: send fewer images or labels"),
}
"""The same of those that a caller can't mend."""
