"""The route table: what follows from a route's method, path and answers is written in no other place."""

from pathlib import Path

import pytest

import lambdas
from contract.routes import (
    ASK_ROUTES,
    CLASSIFY,
    EMBED,
    GET_IMPORT,
    HEALTH,
    OPENAPI,
    PAGE,
    PAUSE_ENDPOINT,
    POST_ANNOTATIONS,
    PROMOTE_MODEL,
    PUT_TASK,
    RESUME_BATCH,
    ROUTES,
    UPLOAD,
    Route,
)


def test_no_two_routes_answer_the_same_request() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES) == 40


def test_every_route_is_answered_by_a_function_that_there_is() -> None:
    folders = Path(lambdas.__file__ or "").parent
    assert all((folders / route.function / "main.py").is_file() for route in ROUTES)
    assert [route.function for route in (CLASSIFY, PAGE, OPENAPI)] == ["classify"] * 3
    assert [route.function for route in (PUT_TASK, UPLOAD, GET_IMPORT)] == ["annotate"] * 3
    assert [route.function for route in (PROMOTE_MODEL, RESUME_BATCH, PAUSE_ENDPOINT)] == ["manage"] * 3


def test_only_what_tells_nothing_of_a_callers_things_is_open() -> None:
    assert [route for route in ROUTES if route.open] == [HEALTH, OPENAPI, PAGE]


def test_a_key_that_may_only_ask_opens_what_neither_teaches_nor_costs_a_machine_nor_tells_what_others_said() -> None:
    named = ["POST /classify", "POST /embed", "GET /tasks", "GET /tasks/{task}", "POST /uploads"]
    assert [route.name for route in ASK_ROUTES] == named
    kinds = {route.needs for route in ROUTES if route not in ASK_ROUTES and not route.open}
    assert (kinds, {route.needs for route in ASK_ROUTES}, HEALTH.needs) == ({"manage"}, {"ask"}, None)


def test_powertools_names_a_part_of_a_path_its_own_way() -> None:
    assert PROMOTE_MODEL.rule == "/models/<version>/promote"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_post_that_creates_honours_an_idempotency_key(route: Route) -> None:
    asks_the_model = route in (CLASSIFY, EMBED)
    assert route.creates is (route.method == "POST" and not asks_the_model)


def test_where_everything_was_there_already_nothing_is_created() -> None:
    assert POST_ANNOTATIONS.answers.keys() == {200, 201} and POST_ANNOTATIONS.creates
