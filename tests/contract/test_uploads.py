import pytest

from contract.problems import BadRequest
from contract.uploads import JSON_LINES, UploadsBody
from contract.validation import validate


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/svg+xml", JSON_LINES])
def test_images_and_the_lines_of_an_import_may_be_sent(media_type: str) -> None:
    assert validate(UploadsBody, {"content_type": media_type}).content_type == media_type


@pytest.mark.parametrize("media_type", ["image/", "image/ ", "text/html", "image/ü", "application/json"])
def test_nothing_else_may(media_type: str) -> None:
    with pytest.raises(BadRequest, match=f"an image's, such as image/jpeg, or {JSON_LINES}, got '{media_type}'"):
        validate(UploadsBody, {"content_type": media_type})


def test_one_is_sent_unless_more_are_asked_for() -> None:
    assert validate(UploadsBody, {}).count == 1
    with pytest.raises(BadRequest, match=r"count: .* got 65"):
        validate(UploadsBody, {"count": 65})
