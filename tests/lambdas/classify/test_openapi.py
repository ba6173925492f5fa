import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from contract.idempotency import IDEMPOTENCY_HEADER
from contract.limits import API_KEY_HEADER
from contract.problems import PROBLEMS, Problem
from contract.questions import Parameters
from contract.requests import EXAMPLE_IMAGE_BASE64, parse_request
from contract.routes import (
    CLASSIFY,
    DELETE_ANNOTATION,
    DELETE_TASK,
    EMBED,
    ERASE_IMAGE,
    LIST_ANNOTATIONS,
    POST_ANNOTATIONS,
    PROMOTE_MODEL,
    PUT_ANNOTATION,
    PUT_TASK,
    ROUTES,
    UPLOAD,
    Route,
)
from lambdas.classify import openapi
from tests.lambdas.classify.test_main import ENCODINGS, JPEG, classify_list, post
from tests.lambdas.conftest import Call
from tests.lambdas.gateway import event, proxy_event
from tests.node import NODE

DOCUMENT = openapi.document()
EXAMPLES = [
    (route, example["value"])
    for route in ROUTES
    if "requestBody" in (operation := DOCUMENT["paths"][route.path][route.method.lower()])
    for example in operation["requestBody"]["content"]["application/json"]["examples"].values()
]


def conforms(instance: Any, schema: str) -> bool:
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]})
    return bool(validator.is_valid(instance))


def test_it_is_valid_openapi_3_1():
    validate(DOCUMENT)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_is_described(route: Route):
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    assert operation["summary"] == route.summary
    kind = route.needs
    assert operation["security"] == ([{"api_key": [kind]}, {"bearer": [kind]}] if kind else [])
    (tag,) = operation["tags"]
    assert tag in openapi.TAGS and operation["description"]
    assert sum(len(methods) for methods in DOCUMENT["paths"].values()) == len(ROUTES)


def test_the_key_goes_where_the_route_table_says():
    assert DOCUMENT["components"]["securitySchemes"]["api_key"]["name"] == API_KEY_HEADER


def test_no_linter_finds_anything(tmp_path: Path):
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    script = Path(__file__).with_name("lint.mjs")
    done = subprocess.run([NODE, script, tmp_path / "openapi.json"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    broken = {**DOCUMENT, "info": {"title": "Wordsight", "version": "v1"}}
    (tmp_path / "openapi.json").write_text(json.dumps(broken))
    done = subprocess.run([NODE, script, tmp_path / "openapi.json"], capture_output=True, text=True, check=False)
    assert "info-license" in done.stdout


def schemas(part: Any, name: str = "document") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document that is not an example, by the name under which it is."""
    if isinstance(part, dict):
        yield name, part
        for key, value in part.items():
            if key not in ("example", "examples"):
                yield from schemas(value, key)
    elif isinstance(part, list):
        for each in part:
            yield from schemas(each, name)


def test_every_field_and_every_parameter_is_described():
    parts = list(schemas(DOCUMENT))
    fields = [(name, field) for _, part in parts for name, field in part.get("properties", {}).items()]
    assert len(fields) > 200
    assert [name for name, field in fields if not field.get("description")] == []
    assert [name for name, schema in DOCUMENT["components"]["schemas"].items() if not schema.get("description")] == []
    described = [each for _, part in parts for each in part.get("parameters", []) if isinstance(each, dict)]
    assert [each["name"] for each in described if not each["description"]] == []


def test_a_client_is_told_no_default_that_it_would_send():
    assert [name for name, part in schemas(DOCUMENT) if "default" in part] == []
    hypothesis = DOCUMENT["components"]["schemas"]["Parameters"]["properties"]["hypothesis_template"]
    assert hypothesis["description"].endswith('Default: ["This is a photo of {}."]')


def test_an_image_is_a_binary_string_wherever_it_is_no_json():
    for route in (CLASSIFY, EMBED, POST_ANNOTATIONS):
        content = DOCUMENT["paths"][route.path]["post"]["requestBody"]["content"]
        image = content["multipart/form-data"]["schema"]["properties"]["image"]["items"]
        for schema in (image, content["image/*"]["schema"], content["application/octet-stream"]["schema"]):
            assert (schema["type"], schema["format"]) == ("string", "binary")


def test_what_may_be_left_out_may_be_null_in_json_and_never_in_a_query():
    fields = DOCUMENT["components"]["schemas"]["Parameters"]["properties"]
    assert all({"type": "null"} in field["anyOf"] for field in fields.values())
    assert all("null" not in json.dumps(each.get("schema", {})) for each in parameters(CLASSIFY).values())


def test_every_answer_has_an_example_that_conforms():
    shown = 0
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                for media_type, content in response.get("content", {}).items():
                    if media_type == "application/json" and "$ref" in content["schema"]:
                        schema = content["schema"]["$ref"].rpartition("/")[2]
                        assert conforms(content["example"], schema), (operation["operationId"], status)
                        shown += 1
    assert shown > len(ROUTES) * 0.8


def test_every_kind_of_problem_has_an_example():
    responses = DOCUMENT["components"]["responses"]
    values = [
        example["value"]
        for response in responses.values()
        for example in response["content"]["application/problem+json"]["examples"].values()
    ]
    assert {value["status"] for value in values} == PROBLEMS.keys()
    assert all(conforms(value, "Problem") for value in values)
    for route in ROUTES:
        answered = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
        assert {answered[kind]["$ref"].rpartition("/")[2] for kind in ("4XX", "5XX")} == responses.keys()


def parameters(route: Route) -> dict[str, Any]:
    described = DOCUMENT["paths"][route.path][route.method.lower()].get("parameters", [])
    return {each["name"]: each for each in described}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_what_a_route_takes_beside_its_body_follows_from_the_table(route: Route):
    names = parameters(route).keys()
    assert ("limit" in names) is ("after" in names) is (route.page is not None)
    assert (IDEMPOTENCY_HEADER in names) is route.creates
    assert ("if-match" in names) is (route in (PUT_TASK, DELETE_TASK, PUT_ANNOTATION, DELETE_ANNOTATION))
    assert ("if-none-match" in names) is (route is PUT_TASK)
    assert all(parameters(route)[name]["in"] == "query" for name in route.query)


def test_what_must_be_given_is_required():
    assert parameters(ERASE_IMAGE)["image"]["required"]
    assert not parameters(LIST_ANNOTATIONS)["dataset"]["required"]
    required = {
        route: DOCUMENT["paths"][route.path]["post"]["requestBody"]["required"]
        for route in (UPLOAD, PROMOTE_MODEL, EMBED)
    }
    assert required == {UPLOAD: False, PROMOTE_MODEL: False, EMBED: True}


def test_who_may_change_a_state_is_told_its_etag():
    headers = DOCUMENT["paths"]["/tasks/{task}"]["put"]["responses"]["201"]["headers"]
    assert headers["etag"]["description"] == "Names this state of the task"
    assert DOCUMENT["paths"]["/tasks/{task}"]["delete"]["responses"]["204"]["headers"] == {}


def test_its_server_is_wherever_it_is_served():
    assert [server["url"] for server in DOCUMENT["servers"]] == ["."]


@pytest.mark.parametrize("route", [CLASSIFY, EMBED], ids=lambda route: route.path)
def test_images_can_be_sent_in_three_encodings(route: Route):
    content = DOCUMENT["paths"][route.path]["post"]["requestBody"]["content"]
    assert content.keys() == {"application/json", "multipart/form-data", "image/*", "application/octet-stream"}


def test_every_parameter_can_be_given_in_a_form_and_in_the_query():
    operation = DOCUMENT["paths"][CLASSIFY.path]["post"]
    names = {*Parameters.model_fields, "parameters"}
    assert {parameter["name"] for parameter in operation["parameters"]} == names
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"].keys() == names | {"image"}


@pytest.mark.parametrize("route, body", EXAMPLES)
def test_an_example_is_a_request_that_works(route: Route, body: Any, call: Call, annotate: Call):
    content = DOCUMENT["paths"][route.path][route.method.lower()]["requestBody"]["content"]["application/json"]
    assert conforms(body, content["schema"]["$ref"].rpartition("/")[2])
    if route.function == "classify":  # its examples are PNGs, and the endpoint here knows JPEGs only
        assert parse_request("application/json", json.dumps(body).encode(), operation=route.path[1:]).images  # type: ignore[arg-type]
    if route in (PUT_TASK, UPLOAD):
        headers = {"content-type": "application/json"}
        made = proxy_event(route.method, route.path.format(task="t"), headers=headers, body=json.dumps(body).encode())
        assert annotate(made).status == 201


def test_its_example_image_is_a_png():
    assert base64.b64decode(EXAMPLE_IMAGE_BASE64).startswith(b"\x89PNG\r\n\x1a\n")


def test_answers_are_what_it_says(call: Call):
    for name in ENCODINGS:
        assert conforms(call(event(name)).json, "Classification")
    assert conforms(call(classify_list(JPEG, "*")).json, "Classification")
    tasks = {"a": {"candidate_labels": "b, c"}}
    body = {"inputs": base64.b64encode(JPEG).decode(), "parameters": {"tasks": tasks}}
    assert conforms(call(post("/classify", body)).json, "Classification")
    assert conforms(call(event("embed")).json, "Embeddings")
    assert conforms(call(event("health")).json, "Health")
    assert conforms(call(event("unknown_route")).json, "Problem")
    assert not conforms({"status": "InService"}, "Health")
    assert Problem.model_validate(call(event("unknown_route")).json)


def test_answers_about_what_is_kept_are_what_it_says(annotate: Call):
    task = {"candidate_labels": ["a", {"label": "b", "annotations": ["the b"]}]}
    headers = {"content-type": "application/json"}
    put = proxy_event("PUT", "/tasks/t", headers=headers, body=json.dumps(task).encode())
    assert conforms(annotate(put).json, "Task")
    assert conforms(annotate(proxy_event("GET", "/tasks/t")).json, "TaskView")
    assert conforms(annotate(proxy_event("GET", "/tasks")).json, "TaskList")
    assert conforms(annotate(proxy_event("POST", "/uploads")).json, "Uploads")
    assert not conforms({"tasks": [{"name": "t"}], "next": None}, "TaskList")


def test_every_operation_has_a_name_of_its_own_and_describes_its_paths_parameters():
    operations = [(path, each) for path, methods in DOCUMENT["paths"].items() for each in methods.values()]
    names = [operation["operationId"] for _, operation in operations]
    assert {"classify", "list_tasks", "put_task", "start_training", "promote_model", "get_health"} <= set(names)
    assert len(set(names)) == len(names) == len(ROUTES)
    for path, operation in operations:
        described = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert described == set(re.findall(r"{(.+?)}", path))


def test_it_is_served_to_everybody(call: Call):
    answer = call(event("openapi"))
    assert answer.status == 200 and answer.json == DOCUMENT


def test_answers_about_annotations_are_what_it_says(annotate: Call):
    headers = {"content-type": "application/json"}
    good = {"image": base64.b64encode(JPEG).decode(), "label": "cat"}
    for body in (good, {"annotations": [good, {"image": "?", "label": "cat"}]}):
        made = proxy_event("POST", "/annotations", headers=headers, body=json.dumps(body).encode())
        stored = annotate(made).json
        assert conforms(body, "AnnotationsRequest") and conforms(stored, "AnnotationsAnswer")
    assert conforms(annotate(proxy_event("GET", "/annotations")).json, "AnnotationList")
    (kept, _) = stored
    assert conforms(annotate(proxy_event("GET", f"/annotations/{kept['id']}")).json, "Annotation")
    assert conforms(annotate(proxy_event("DELETE", "/annotations", query=f"image={kept['image']}")).json, "Erased")
    assert not conforms({"label": "cat"}, "AnnotationsRequest") and not conforms({"id": "1"}, "AnnotationsAnswer")


def test_a_training_and_its_check_are_described_apart() -> None:
    answers = DOCUMENT["paths"]["/trainings"]["post"]["responses"]
    referred = {status: answers[status]["content"]["application/json"]["schema"]["$ref"] for status in ("200", "202")}
    assert referred == {"200": "#/components/schemas/TrainingCheck", "202": "#/components/schemas/TrainingView"}
