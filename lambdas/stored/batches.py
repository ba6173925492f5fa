"""Batches as they are stored: what was asked, and how far their images are listed."""

from __future__ import annotations

from contract.batches import Batch, Plan, batch_key, plan_key
from contract.problems import NotFound
from lambdas.aws.s3 import Store


def read_batch(store: Store, id: str) -> Batch:
    """The stored request. Raises NotFound."""
    document = store.read(batch_key(id))
    if document is None:
        raise unknown_batch(id)
    return Batch.model_validate(document.value)


def unknown_batch(id: str) -> NotFound:
    """What is said of an id that no batch has."""
    return NotFound(f"there is no batch {id!r}: GET /batches lists them")


def read_plan(store: Store, id: str) -> Plan:
    """How far the images are listed."""
    document = store.read(plan_key(id))
    return Plan.model_validate(document.value) if document else Plan()
