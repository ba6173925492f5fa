import pytest

from contract.problems import BadRequest
from contract.questions import Parameters
from contract.taught import (
    Progress,
    TaskView,
    Teaching,
    embedding_key,
    head_images_key,
    head_key,
    head_of_key,
    heads_prefix,
    task_of_taught,
    task_versions,
    taught_key,
    taught_of,
    version_folder,
)
from contract.validation import validate

HEAD = "a" * 64


@pytest.mark.parametrize(
    "teaching, state, at_work",
    [
        (Teaching(), "words", False),
        (Teaching(head=HEAD), "live", False),
        (Teaching(paused=True, head=None), "paused", False),
        (Teaching(head=HEAD, busy_until_epoch_s=101), "live", True),
        (Teaching(head=HEAD, busy_until_epoch_s=99), "live", False),
        (Teaching(head=HEAD, asked=2, answered=1), "live", True),
    ],
)
def test_what_a_task_has_learnt_is_told_with_its_state(teaching: Teaching, state: str, at_work: bool) -> None:
    taught = taught_of(teaching, now_epoch_s=100)
    assert taught and (taught.state, taught.teaching, taught.head) == (state, at_work, teaching.head)


def test_of_what_was_never_looked_at_nothing_is_told() -> None:
    assert taught_of(None, 0) is None
    told = taught_of(Teaching(progress=Progress(done=1, of=2)), 0)
    assert told and told.progress == Progress(done=1, of=2)


def test_a_document_of_a_later_version_is_read() -> None:
    assert Teaching.model_validate({"head": HEAD, "of_a_later_version": 1}) == Teaching(head=HEAD)


def test_every_task_has_a_place_of_its_own_and_no_other_name_has_one() -> None:
    assert task_of_taught(taught_key("pet")) == "pet"
    assert head_key("pet", HEAD).startswith(heads_prefix("pet")) and head_images_key("pet", HEAD) != head_key(
        "pet", HEAD
    )
    assert head_of_key(head_key("pet", HEAD)) == head_of_key(head_images_key("pet", HEAD)) == HEAD
    with pytest.raises(BadRequest):
        taught_key("../pet")


def test_versions_that_differ_have_folders_that_differ_and_are_one_segment() -> None:
    versions = ["openai/clip@1", "openai_clip@1", "base", "Base", "x" * 128, "x" * 127 + "y", "a%2Fb", "a/b"]
    assert len({*map(version_folder, versions)}) == len(versions)
    assert all(embedding_key(each, HEAD).count("/") == 2 and "%" not in embedding_key(each, HEAD) for each in versions)
    assert version_folder("openai/clip@1").startswith("openai_clip@1-")


def test_a_version_names_each_task() -> None:
    assert (
        task_versions([("pet", HEAD, "e" * 32), ("mood", None, "e" * 32)]) == f"pet={'a' * 12}, mood=words-{'e' * 12}"
    )


def test_only_a_saved_task_can_be_asked_by_its_words_alone() -> None:
    assert validate(Parameters, {"task": "pet", "taught": False}).taught is False
    with pytest.raises(BadRequest, match="taught is given without task"):
        validate(Parameters, {"candidate_labels": "a, b", "taught": False})


def test_a_task_is_put_back_with_what_was_told_of_its_teaching_which_is_not_kept() -> None:
    taught = taught_of(Teaching(head=HEAD), 0)
    assert taught is not None
    task = validate(TaskView, {"candidate_labels": "a, b", "taught": taught.model_dump()})
    assert task.document().keys() == {"candidate_labels"}
