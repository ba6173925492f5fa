import pytest

from contract.models import (
    BASE,
    NO_MODEL_URI,
    ImportBody,
    Model,
    ModelView,
    PromoteBody,
    model_key,
    promotion_key,
)
from contract.problems import BadRequest
from contract.validation import validate

S3_URI = "s3://artifacts/models/large/"


@pytest.mark.parametrize("version", ["a", "wordsight-dev-20260101", "v1.2_3", "a" * 63])
def test_a_version_is_registered_under_its_name(version: str) -> None:
    assert model_key(version) == f"registry/{version}.json"
    assert validate(ImportBody, {"s3_uri": S3_URI, "version": version}).version == version


@pytest.mark.parametrize("version", ["", "-a", "a/b", "../a", "a b", "a-", "a" * 64])
def test_what_is_no_version_is_no_part_of_a_key(version: str) -> None:
    with pytest.raises(BadRequest, match="allowed: letters, digits, dots and hyphens, at most 63"):
        model_key(version)
    with pytest.raises(BadRequest, match="version: "):
        validate(ImportBody, {"s3_uri": S3_URI, "version": version})


def test_a_promotion_without_a_body_respects_the_gate() -> None:
    assert not PromoteBody().force
    assert promotion_key("1") == "promotions/1.json"


def test_the_base_is_a_version_that_comes_with_the_image() -> None:
    assert (BASE.version, BASE.artifact_s3_uri, BASE.source, BASE.gate) == ("base", NO_MODEL_URI, "image", None)


def test_a_view_shows_all_that_is_registered() -> None:
    model = Model(version="v", artifact_s3_uri=S3_URI, created="1", source="import", metrics={"accuracy": 0.5})
    view = ModelView(**model.model_dump(), live=True, verdict=None, promotion=None)
    assert view.model_dump(exclude={"live", "verdict", "promotion"}) == model.model_dump()
