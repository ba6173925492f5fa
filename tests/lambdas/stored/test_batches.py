from typing import Any

import pytest

from contract.batches import Batch, Plan, batch_key, plan_key
from contract.problems import NotFound
from lambdas.aws.s3 import Store
from lambdas.stored.batches import load_batch, read_plan

BATCH = Batch(id="20260101000000-aaaaaa", created="2026", begun="2026", s3_prefix="collections/", parameters={})


def test_a_batch_is_read_with_its_state_and_its_plan_begins_empty(bucket: Any) -> None:
    store = Store(bucket.name, lambda service: bucket.meta.client)
    with pytest.raises(NotFound, match="there is no batch '20260101000000-aaaaaa'"):
        load_batch(store, BATCH.id)
    written = store.write(batch_key(BATCH.id), BATCH)
    assert load_batch(store, BATCH.id) == written
    assert read_plan(store, BATCH.id) == Plan()
    store.write(plan_key(BATCH.id), Plan(images=3, complete=True))
    assert read_plan(store, BATCH.id).images == 3
