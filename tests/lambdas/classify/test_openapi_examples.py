from contract.bodies import BODIES
from contract.problems import PROBLEMS
from contract.routes import ROUTES
from lambdas.classify.openapi_examples import DESCRIBED, FAILED, REFUSED


def test_every_operation_is_described_and_every_answer_shown() -> None:
    assert DESCRIBED.keys() == set(ROUTES)
    assert {route for route, each in DESCRIBED.items() if each.answer is None} == {
        route for route in ROUTES if BODIES[route].answer is None
    }


def test_problems_that_a_caller_can_mend_are_apart_from_the_others() -> None:
    assert {each.status for each in REFUSED.values()} == {status for status in PROBLEMS if status < 500}
    assert {each.status for each in FAILED.values()} == {status for status in PROBLEMS if status >= 500}
