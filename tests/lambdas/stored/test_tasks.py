from typing import Any

import pytest

from contract.problems import NotFound
from contract.questions import Parameters
from contract.taught import Teaching, head_key, taught_key
from lambdas.aws.s3 import Store
from lambdas.stored.tasks import head_reader, saved_tasks, shas_of, versions, with_tasks

HEAD = "0123456789ab" + "c" * 52


@pytest.fixture
def store(bucket: Any) -> Store:
    store = Store(bucket.name, lambda service: bucket.meta.client)
    for name in ("pet", "mood"):
        store.write(f"tasks/{name}.json", {"candidate_labels": [f"{name} 1", "none"], "description": "for people"})
    store.write(taught_key("pet"), Teaching(head=HEAD))
    return store


def test_questions_are_found_by_name_without_what_is_for_people(store: Store) -> None:
    found = saved_tasks(store, Parameters(task=["mood", "pet", "mood"]))
    assert [(each.name, each.question, each.head) for each in found] == [
        ("mood", {"candidate_labels": ["mood 1", "none"]}, None),
        ("pet", {"candidate_labels": ["pet 1", "none"]}, HEAD),
    ]
    with pytest.raises(NotFound, match="no saved task 'car', 'tree': GET /tasks lists them, PUT /tasks/car saves one"):
        saved_tasks(store, Parameters(task=["car", "pet", "tree"]))


def test_what_is_to_be_answered_by_words_has_no_head(store: Store) -> None:
    (found,) = saved_tasks(store, Parameters(task="pet", taught=False))
    assert found.head is None


def test_a_head_belongs_to_the_name_that_the_request_gives_its_question(store: Store) -> None:
    for asked, name in ((Parameters(task="pet"), ""), (Parameters(task=["mood", "pet"]), "pet")):
        parameters, heads = with_tasks(asked, saved_tasks(store, asked))
        assert heads == {name: head_key("pet", HEAD)} and shas_of(heads) == {name: HEAD}
        assert name in parameters.questions and "taught" not in parameters.model_fields_set


def test_a_version_says_whether_a_head_has_answered_or_the_words(store: Store) -> None:
    tasks = saved_tasks(store, Parameters(task=["pet", "mood"]))
    pet, mood = tasks
    assert versions(tasks, [HEAD[:12]]) == f"pet=0123456789ab, mood=words-{mood.etag[:12]}"
    assert versions(tasks, []) == f"pet=words-{pet.etag[:12]}, mood=words-{mood.etag[:12]}"


def test_a_head_is_read_by_its_sha256_and_one_that_was_erased_is_none(store: Store) -> None:
    read = head_reader(store, [head_key("pet", HEAD)])
    assert read(HEAD) is read("d" * 64) is None
    store.put(head_key("pet", HEAD), b"head", "application/octet-stream")
    assert read(HEAD) == b"head"
