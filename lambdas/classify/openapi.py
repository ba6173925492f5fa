"""The OpenAPI 3.1 description of the API: a pure function of the contract and its route table.

It is made for those who generate clients from it: every operation, field and parameter is described, images are binary
strings, and no schema has a `default`, which generated clients would send where their callers said nothing: beside a
saved task it would take the place of what the task says.
"""

import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from contract import limits
from contract.annotations import DEFAULT_DATASET, MAX_DATASET_CHARS, AnnotationBody
from contract.bodies import BODIES
from contract.idempotency import ID, IDEMPOTENCY_HEADER, MAX_IDEMPOTENCY_KEY_CHARS
from contract.images import THUMBNAIL_SIZES_PX
from contract.problems import Problem, ProblemError
from contract.questions import Parameters
from contract.requests import EmbedInputs
from contract.routes import CLASSIFY, EMBED, OPERATIONS, POST_ANNOTATIONS, ROUTES, STAGE_NAME, Route
from contract.validation import Strict
from lambdas.classify.openapi_examples import DESCRIBED, FAILED, REFUSED, REQUEST_ID

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"
_TEXT = {"type": "string"}
_ID = {**_TEXT, "pattern": f"^{ID.pattern}$"}
_BINARY = {**_TEXT, "format": "binary", "description": "The image's file"}
_REPEATED_TEXT = {"type": "array", "items": _TEXT}
_DATASET = {**_TEXT, "description": f"Of the annotations. Default: {DEFAULT_DATASET}", "maxLength": MAX_DATASET_CHARS}

TAGS = {
    "classify": "Ask the model about images",
    "tasks": "Questions that are kept under a name",
    "uploads": "Images too large for the API",
    "annotations": "What people say of images, to learn from",
    "images": "What it is said of",
    "trainings": "Fine-tune the model",
    "models": "Versions of the model, and which one is live",
    "batches": "Classify a whole bucket",
    "service": "The API itself",
}
"""What the operations are about: the first segment of their paths, or else the service."""

_IN_WORDS = {
    "JsonValue": "Any JSON",
    "annotations": "The records",
    "answer": "As POST /classify answers",
    "artifact_s3_uri": "The checkpoint's folder",
    "base_s3_uri": "The checkpoint that is fine-tuned",
    "batches": "The batches",
    "created": "When, in ISO 8601",
    "data_digest": "sha256 of the data that it learnt from",
    "dataset": "The annotations' dataset",
    "description": "What it is for, in words for people",
    "detail": "What was wrong, what is allowed and what to do",
    "done_shards": "So many parts of the work are done",
    "endpoint": "The name of the endpoint",
    "etag": "Names its present state",
    "expires_in_s": "Seconds until the form is no longer taken",
    "gate": "The verdict on it; null where no training made it",
    "fields": "What the form holds before its file",
    "git_revision": "The commit of the code that trained it",
    "hyperparameters": "What was asked for, as texts",
    "id": "Its id",
    "image": "sha256 of the image's file",
    "images": "By image: a vector of length 1, or the problem in its place",
    "knows": "What the model was trained on; null while it can't be asked",
    "label": "The label",
    "labels": "How many it has",
    "languages": "That the model understands; null while it can't be asked",
    "licence": "Of the model's weights; null while it can't be asked",
    "max_bytes": "The largest file that is taken",
    "max_runtime_s": "Seconds after which the training is stopped",
    "metrics": "Figures by name",
    "model_version": "The version of the model that answered",
    "models": "The versions",
    "multi_label": "Whether each label is scored on its own",
    "name": "Its name",
    "new": "Whether it was not there already",
    "next": "What to send as `after`; null at the end",
    "parent": "The version it was fine-tuned from",
    "passed": "Whether it may go live",
    "perceptual_hash": "Pictures that look the same have similar ones",
    "place": "The key or line that it is about",
    "problem": "Why it was left out",
    "promote": "auto: goes live by itself if the gate lets it pass",
    "retry_after_s": "Seconds after which to try again, where that is known",
    "s3_key": "Its key in the data bucket",
    "s3_prefix": "What the keys begin with",
    "score": "How well it fits, between 0 and 1",
    "served_version": "What the endpoint calls it",
    "source": "Where it comes from",
    "split": "What the images are for",
    "spot": "Whether on spare capacity",
    "s3_uri": "The folder that the files go to, as POST /models takes it",
    "state": "How it is",
    "status": "The status, as the service or HTTP calls it",
    "steps": "So many there will be",
    "tasks": "The tasks",
    "texts": "By text: a vector of length 1",
    "title": "The kind of problem, in words",
    "training": "The training that made it",
    "trainings": "The trainings",
    "type": "The kind of problem, as a name that stays",
    "updated": "When it was last changed, in ISO 8601",
    "uploads": "One form for each image",
    "url": "Where to post the form",
    "version": "The model's version",
}
"""What a name means wherever the field that has it does not say so itself."""

_IN_PATH: dict[str, tuple[str, Schema]] = {
    "/tasks/{task}": ("The task's name", {**_TEXT, "minLength": 1, "maxLength": limits.MAX_TASK_NAME_CHARS}),
    "/annotations/{id}": ("The annotation's id", _TEXT),
    "/images/{image}": ("sha256 of the image's file", {**_TEXT, "pattern": "^[0-9a-f]{64}$"}),
    "/annotations/imports/{id}": ("The import's id", _ID),
    "/trainings/{training}": ("The training's id", _ID),
    "/models/{version}": ("The model's version", _TEXT),
    "/batches/{batch}": ("The batch's id", _ID),
}
"""What the end of a path names. What comes behind it, as in `/models/{version}/promote`, is an action."""
_IN_QUERY: dict[str, Schema] = {
    "dataset": _DATASET,
    "dry_run": {"type": "boolean", "description": "Only check, and tell what it would find and cost. Default: false"},
    "image": {**_TEXT, "pattern": "^[0-9a-f]{64}$", "description": "sha256 of the image's file"},
    "size": {
        **{"type": "integer", "enum": list(THUMBNAIL_SIZES_PX)},
        "description": "Answer with the image itself, shrunk until its longer side has so many pixels",
    },
}
_IF_MATCH = {"task": "The etag that was seen, or * if there must be one", "annotation": "The etag that was seen"}
_HEADERS_OF_THE_MODEL = {
    limits.MODEL_VERSION_HEADER: "The version of the model that answered",
    limits.REQUEST_ID_HEADER: "Quote it when asking for help",
    limits.SERVER_TIMING_HEADER: "Milliseconds by stage",
    limits.WARNING_HEADER: "Says so if a text was longer than the model reads",
}


def document() -> Schema:
    """The whole description, JSON-ready. Its one server is relative, so it is true wherever it is served."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    schemas = {name: _for_clients(schema, name) for name, schema in _components().items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wordsight",
            "version": STAGE_NAME,
            "description": "Zero-shot image classification: post an image and words, get the words that fit. "
            f"Images of one request may be {limits.MAX_INLINE_IMAGE_BYTES:,} bytes together.",
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "Wordsight"},
        },
        "servers": [{"url": ".", "description": "Where this document is"}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Refused": _problems("The request can't be answered; the sentence says what to do", REFUSED),
                "Failed": _problems("Wordsight can't answer now; with a retry-after header, later", FAILED),
            },
            "securitySchemes": {
                "api_key": {
                    **{"type": "apiKey", "in": "header", "name": limits.API_KEY_HEADER},
                    "description": "Where the stage's auth is api_key; its operator makes keys of two kinds. "
                    "The role that an operation names is the kind that it takes: ask, or manage, which opens all",
                },
                "bearer": {
                    **{"type": "http", "scheme": "bearer"},
                    "description": "The same key, from clients that know this header only",
                },
            },
        },
    }


def _operation(route: Route) -> Schema:
    parameters = list(_parameters(route))
    (name,) = (name for name, each in OPERATIONS.items() if each is route)
    tag = "classify" if route is EMBED else route.path.split("/")[1]
    return {
        # what generated clients call it
        "operationId": f"get_{name}" if route.open else name,
        "tags": [tag if tag in TAGS else "service"],
        "summary": route.summary,
        "description": DESCRIBED[route].does,
        "security": [{scheme: [route.needs]} for scheme in ("api_key", "bearer")] if route.needs else [],
        **({"parameters": parameters} if parameters else {}),
        **({} if BODIES[route].request is None else {"requestBody": _body(route)}),
        "responses": {
            **{str(status): _success(route, status, meaning) for status, meaning in route.answers.items()},
            "4XX": {"$ref": "#/components/responses/Refused"},
            "5XX": {"$ref": "#/components/responses/Failed"},
        },
    }


def _parameters(route: Route) -> Iterator[Schema]:
    resource, bracket, _ = route.path.partition("}")
    if bracket:
        yield _parameter("path", resource.rpartition("{")[2], *_IN_PATH[resource + bracket], required=True)
    if route.page:
        limit = {"type": "integer", "minimum": 1, "maximum": route.page}
        yield _parameter("query", "limit", f"How many. Default: {route.page}", limit)
        yield _parameter("query", "after", "The `next` of the page before", _TEXT)
    for name in route.query:
        schema = _IN_QUERY[name]
        yield _parameter("query", name, schema["description"], schema, required=name == "image")
    if route.creates:
        again = "Sent again with the same key and body, the request gets its first answer and creates nothing twice"
        yield _parameter(
            *("header", IDEMPOTENCY_HEADER, again), {**_TEXT, "pattern": f"^[!-~]{{1,{MAX_IDEMPOTENCY_KEY_CHARS}}}$"}
        )
    if route.etag and route.method != "GET":
        yield _parameter("header", "if-match", _IF_MATCH[route.etag], _TEXT)
    if route.etag and 201 in route.answers:
        yield _parameter("header", "if-none-match", "* if there must be none yet", {**_TEXT, "enum": ["*"]})
    if route is not EMBED:
        yield from (_beside_an_image(route, *field) for field in _form_fields(route).items())


def _parameter(place: str, name: str, description: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": place, "required": required, "description": description, "schema": schema}


def _form_fields(route: Route) -> dict[str, Schema]:
    """What stands beside the images of a form, by name; empty for a route that takes JSON only."""
    if route is CLASSIFY:
        together = {**_schema(Parameters), "description": "All of them as one JSON object, in place of the others"}
        return {**_as_fields(Parameters), "parameters": together}
    if route is EMBED:
        return {"texts": _as_fields(EmbedInputs)["texts"]}
    if route is POST_ANNOTATIONS:
        return {**_as_fields(AnnotationBody), "dataset": _DATASET}
    return {}


def _as_fields(model: type[BaseModel]) -> dict[str, Schema]:
    """A model's members as a form has them: what may be a list is a text that is repeated, and nothing is null."""
    fields: dict[str, Schema] = {}
    for name, schema in model.model_json_schema(ref_template=_SCHEMAS)["properties"].items():
        described = _for_clients(schema, name)
        kinds = [kind for kind in described.pop("anyOf", [{}]) if kind.get("type") != "null"]
        if any(kind.get("type") == "array" for kind in kinds):
            repeat = f"{described['description']}. Repeat it for several"
            fields[name] = {**_REPEATED_TEXT, "description": repeat}
        else:
            fields[name] = {**described, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}
    return fields


def _beside_an_image(route: Route, name: str, schema: Schema) -> Schema:
    """A field of the form, which may stand in the query as well: it has to if the body is the image as it is."""
    about = f"{schema['description']}. With an image as the body, or a form"
    described = {"name": name, "in": "query", "required": False, "description": about}
    if schema.get("type") == "object" or "$ref" in schema:
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, "schema": schema}


def _body(route: Route) -> Schema:
    """JSON; where images can be sent, also a form with the same names, or one image as it is."""
    body = BODIES[route].request
    optional = type(None) in get_args(body)
    if optional:
        body = get_args(body)[0]
    examples: Schema = {}
    for model in (each for each in _named(body) if isinstance(each, type) and issubclass(each, Strict)):
        for title, value in model.EXAMPLES.items():
            name, _, summary = title.partition(": ")
            examples[name] = {**({"summary": summary} if summary else {}), "value": value}
    content: Schema = {"application/json": {"schema": _schema(body), "examples": examples}}
    if fields := _form_fields(route):
        about = "One image, or several"
        images = {"type": "array", "maxItems": limits.MAX_IMAGES, "items": _BINARY, "description": about}
        form = {"type": "object", "properties": {"image": images, **fields}, "additionalProperties": False}
        raw = {"schema": _BINARY}
        content |= {"multipart/form-data": {"schema": form}, "image/*": raw, "application/octet-stream": raw}
    return {"required": not optional, "content": content}


def _success(route: Route, status: int, meaning: str) -> Schema:
    headers = {**_HEADERS_OF_THE_MODEL} if route in (CLASSIFY, EMBED) else {}
    if route is CLASSIFY:
        headers[limits.TASK_VERSION_HEADER] = (
            "What has answered each saved task: `task=` and the beginning of its head's sha256, or of its etag "
            "behind `words-`"
        )
    bodies = BODIES[route]
    if route.etag and bodies.answer:
        headers = {"etag": f"Names this state of the {route.etag}"}
    described = {name: {"description": text, "schema": _TEXT} for name, text in headers.items()}
    hint = bodies.other_answers.get(status, bodies.answer)
    example = DESCRIBED[route].others.get(status, DESCRIBED[route].answer)
    media_type = "text/html" if hint is str else "application/json"
    content = {"content": {media_type: {"schema": _schema(hint), "example": example}}} if hint else {}
    return {"description": meaning, "headers": described, **content}


def _problems(meaning: str, examples: Mapping[str, ProblemError]) -> Schema:
    """A response with problem details, and one of each kind."""
    shown = {name: {"summary": each.title, "value": each.body(REQUEST_ID)} for name, each in examples.items()}
    content = {limits.PROBLEM_MEDIA_TYPE: {"schema": _schema(Problem), "examples": shown}}
    return {"description": meaning, "content": content}


def _for_clients(schema: Any, name: str = "") -> Any:
    """A schema, of the property that is called `name`, as generators of clients take it: described, and no default."""
    if not isinstance(schema, dict):
        return [_for_clients(each) for each in schema] if isinstance(schema, list) else schema
    default = json.dumps(schema["default"], ensure_ascii=False) if schema.get("default") else ""
    about = schema.get("description") or _IN_WORDS.get(name, "")
    about = f"{about}. Default: {default}" if default else about
    kept = {key: value for key, value in schema.items() if key not in ("default", "title", "description")}
    for key, value in kept.items():
        if key in ("properties", "patternProperties"):
            kept[key] = {each: _for_clients(part, each if key == "properties" else "") for each, part in value.items()}
        elif key in ("anyOf", "items", "additionalProperties", "propertyNames"):
            kept[key] = _for_clients(value)
    return {**kept, **({"description": about} if about else {})}


def _components() -> dict[str, Schema]:
    """The schemas that have names."""
    hints: list[Any] = [Problem]
    hints += (hint for each in BODIES.values() for hint in (each.request, each.answer, *each.other_answers.values()))
    named = list({_name(each): each for hint in hints for each in _named(hint)}.values())
    models = [each for each in named if isinstance(each, type) and issubclass(each, BaseModel)]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS)
    return {**schemas["$defs"], **{_name(each): _definition(each) for each in named if each not in models}}


def _named(hint: Any) -> Iterator[Any]:
    """The classes and titled unions that a type is made of. What a model is made of, pydantic finds."""
    if _name(hint):
        yield hint
    for part in get_type_hints(hint).values() if is_typeddict(hint) else get_args(hint):
        yield from _named(part)


def _name(hint: Any) -> str:
    """What the document calls a type; "" for one that it writes out."""
    if get_origin(hint) is Annotated:
        return str(hint.__metadata__[0].title)
    is_class = is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel))
    return str(hint.__name__) if is_class else ""


def _definition(hint: Any) -> Schema:
    """A TypedDict's or a titled union's schema. pydantic refuses typing.TypedDict before Python 3.12."""
    if is_typeddict(hint):
        members = {name: _schema(member) for name, member in get_type_hints(hint).items()}
        return {"type": "object", "description": hint.__doc__, "properties": members, "required": list(members)}
    described = hint.__metadata__[0].description
    return {**({"description": described} if described else {}), **_schema(hint.__origin__)}


def _schema(hint: Any) -> Schema:
    """A type as JSON Schema; what has a name is referred to."""
    if name := _name(hint):
        return {"$ref": _SCHEMAS.format(model=name)}
    origin, parts = get_origin(hint), get_args(hint)
    if origin is list:
        return {"type": "array", "items": _schema(parts[0])}
    if hint is dict or origin is dict:
        return {"type": "object", **({"additionalProperties": _schema(parts[1])} if parts else {})}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(part) for part in parts]}
    schema: Schema = TypeAdapter(hint).json_schema()
    return schema
