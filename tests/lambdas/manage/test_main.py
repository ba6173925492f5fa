"""The answers of the function that manages models, against its OpenAPI document."""

from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.manage.conftest import Stage


def test_answers_are_what_the_openapi_document_says(stage: Stage) -> None:
    view = stage.started()
    stage.trained(version=view["version"])
    assert conforms(view, "TrainingView")
    assert conforms(stage.ask("GET", "/trainings").json, "TrainingList")
    assert conforms(stage.ask("GET", "/models").json, "ModelList")
    assert conforms(stage.ask("GET", f"/models/{view['version']}").json, "ModelView")
    assert conforms(stage.ask("POST", f"/models/{view['version']}/promote").json, "Promotion")
    assert not conforms({**view, "state": "asleep"}, "TrainingView")
