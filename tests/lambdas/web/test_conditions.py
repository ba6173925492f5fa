import pytest

from contract.problems import BadRequest, PreconditionFailed
from lambdas.aws.s3 import Document
from lambdas.web.conditions import Conditions

HERE = Document("tasks/a.json", {}, "9b2c")


@pytest.mark.parametrize("match", ['"9b2c"', "9b2c", '"other", "9b2c"', "*"])
def test_a_state_that_was_seen_may_be_changed(match: str) -> None:
    assert Conditions.of({"if-match": match}).check(HERE) is HERE


@pytest.mark.parametrize("match", ['"other"', 'W/"9b2c"', '"9B2C"'])
def test_another_state_may_not(match: str) -> None:
    with pytest.raises((PreconditionFailed, BadRequest)):
        Conditions.of({"if-match": match}).check(HERE)


def test_without_conditions_any_state_is_fine() -> None:
    assert Conditions.of({}).check(HERE) is HERE
    assert Conditions.of({}).check(None) is None


def test_what_must_be_new_and_what_must_exist() -> None:
    assert Conditions.of({"if-none-match": "*"}).check(None) is None
    for headers, document in (({"if-none-match": "*"}, HERE), ({"if-match": "*"}, None), ({"if-match": "9b2c"}, None)):
        with pytest.raises(PreconditionFailed):
            Conditions.of(headers).check(document)


@pytest.mark.parametrize("headers", [{"if-none-match": '"9b2c"'}, {"if-match": ""}, {"if-match": '"9b2c'}])
def test_what_can_t_be_read_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="allowed is"):
        Conditions.of(headers)
