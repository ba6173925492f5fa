from contract.bodies import BODIES
from contract.routes import CLASSIFY, DELETE_TASK, OPENAPI, ROUTES, UPLOAD


def test_every_route_says_what_it_takes_and_answers() -> None:
    assert BODIES.keys() == set(ROUTES)


def test_only_a_route_that_writes_takes_a_body() -> None:
    assert {route.method for route, each in BODIES.items() if each.request is not None} == {"POST", "PUT"}


def test_a_route_whose_only_success_is_no_content_has_no_answer() -> None:
    without = {route for route, each in BODIES.items() if each.answer is None}
    assert DELETE_TASK in without and without == {route for route in ROUTES if route.answers.keys() == {204}}


def test_what_a_status_answers_otherwise_is_one_that_the_route_has() -> None:
    assert all(each.other_answers.keys() <= route.answers.keys() for route, each in BODIES.items())


def test_a_body_that_may_be_left_out_may_be_none() -> None:
    optional = {route for route, each in BODIES.items() if type(None) in getattr(each.request, "__args__", ())}
    assert UPLOAD in optional and not optional & {CLASSIFY, OPENAPI}
