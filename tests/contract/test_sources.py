import pytest

from contract.sources import COLLECTIONS_PREFIX, SOURCE_PREFIXES, check_source


@pytest.mark.parametrize("prefix", SOURCE_PREFIXES)
def test_images_may_lie_under_each_of_these(prefix: str) -> None:
    assert check_source(f"{prefix}1.jpg") == f"{prefix}1.jpg"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("tasks/animal.json", "the images of a batch lie under uploads/ or collections/ or images/, got 'tasks/animal"),
        (COLLECTIONS_PREFIX + "é" * 512, "a key has at most 1024 bytes, got 1,036: 'collections/é"),
        (COLLECTIONS_PREFIX + "\ud83d", "is no text: it holds half a character"),
    ],
)
def test_no_other_place_is_read(key: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_source(key)


def test_it_is_said_whose_images_they_are() -> None:
    with pytest.raises(ValueError, match="the images of a reference set lie under images/, got 'uploads/mine/'"):
        check_source("uploads/mine/", ("images/",), "the images of a reference set")
