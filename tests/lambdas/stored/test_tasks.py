from typing import Any

import pytest

from contract.problems import NotFound
from lambdas.aws.s3 import Store
from lambdas.stored.tasks import saved_questions


def test_questions_are_found_by_name_without_what_is_for_people(bucket: Any) -> None:
    store = Store(bucket.name, lambda service: bucket.meta.client)
    for name in ("pet", "mood"):
        store.write(f"tasks/{name}.json", {"candidate_labels": [name], "description": "for people"})
    assert saved_questions(store, ["mood", "pet", "mood"]) == {
        "mood": {"candidate_labels": ["mood"]},
        "pet": {"candidate_labels": ["pet"]},
    }
    with pytest.raises(NotFound, match="no saved task 'car', 'tree': GET /tasks lists them, PUT /tasks/car saves one"):
        saved_questions(store, ["car", "pet", "tree"])
