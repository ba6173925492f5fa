from typing import Any

import pytest
from aws_lambda_powertools import Logger

from contract.problems import BadRequest, PreconditionFailed
from contract.routes import DELETE_TASK
from lambdas.aws.s3 import Document, Store
from lambdas.web.conditions import check_conditions, delete_document
from lambdas.web.resolver import Resolver
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.gateway import Answer, proxy_event

HERE: Document[Any] = Document("tasks/a.json", {}, "9b2c")


@pytest.mark.parametrize("match", ['"9b2c"', "9b2c", '"other", "9b2c"', "*"])
def test_a_state_that_was_seen_may_be_changed(match: str) -> None:
    assert check_conditions({"if-match": match}, HERE) is HERE


@pytest.mark.parametrize("match", ['"other"', 'W/"9b2c"', '"9B2C"'])
def test_another_state_may_not(match: str) -> None:
    with pytest.raises((PreconditionFailed, BadRequest)):
        check_conditions({"if-match": match}, HERE)


def test_without_conditions_any_state_is_fine() -> None:
    assert check_conditions({}, HERE) is HERE
    assert check_conditions({}, None) is None


def test_what_must_be_new_and_what_must_exist() -> None:
    assert check_conditions({"if-none-match": "*"}, None) is None
    for headers, document in (({"if-none-match": "*"}, HERE), ({"if-match": "*"}, None), ({"if-match": "9b2c"}, None)):
        with pytest.raises(PreconditionFailed):
            check_conditions(headers, document)


@pytest.mark.parametrize("headers", [{"if-none-match": '"9b2c"'}, {"if-match": ""}, {"if-match": '"9b2c'}])
def test_what_can_t_be_read_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="allowed is"):
        check_conditions(headers, None)


def test_a_document_is_deleted_in_the_state_that_was_seen_only(bucket: Any) -> None:
    store = Store(SETTINGS.data_bucket, lambda service: bucket.meta.client)
    document, app = store.write("tasks/a.json", {}), Resolver((), Logger(service="test"))
    app.on(DELETE_TASK)(lambda task: delete_document(app, store, document))

    def ask(match: str) -> int:
        made = proxy_event("DELETE", "/tasks/a", headers={"if-match": match})
        return Answer(app.resolve(made, CONTEXT)).status  # type: ignore[arg-type]

    assert ask("other") == 412 and store.read("tasks/a.json") is not None
    assert ask(document.etag) == 204 and store.read("tasks/a.json") is None
