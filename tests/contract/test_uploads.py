import pytest

from contract.problems import BadRequest
from contract.uploads import JSON_LINES, MAX_CHECKPOINT_FILES, CheckpointUploadsBody, UploadsBody, is_checkpoint_file
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


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00002.safetensors", "merges.txt", "README.md"])
def test_a_checkpoint_is_made_of_such_files(name: str) -> None:
    assert validate(CheckpointUploadsBody, {"files": [name]}).files == [name] and is_checkpoint_file(name)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("../registry/base.json", "names without folders that end with .json, .jsonl"),
        ("a/config.json", "names without folders"),
        ("run.sh", "allowed are names"),
        (".json", "allowed are names"),
        ("x" * 200 + ".json", "allowed are names"),
        ("pytorch_model.bin", "pickled weights may run code, save them as safetensors"),
    ],
)
def test_no_other_file_goes_beside_checkpoints(name: str, sentence: str) -> None:
    assert not is_checkpoint_file(name)
    with pytest.raises(BadRequest, match=sentence):
        validate(CheckpointUploadsBody, {"files": [name]})


def test_a_checkpoint_has_a_file_and_not_too_many() -> None:
    for count in (0, MAX_CHECKPOINT_FILES + 1):
        with pytest.raises(BadRequest, match="files"):
            validate(CheckpointUploadsBody, {"files": ["config.json"] * count})
