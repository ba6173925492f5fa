"""Batches as they are stored: what was asked, and how far their images are listed."""

from contract.batches import Batch, Plan, batch_key, plan_key
from lambdas.aws.s3 import Document, Store


def load_batch(store: Store, id: str) -> Document[Batch]:
    """The stored request with its state. Raises NotFound."""
    return store.load(Batch, batch_key(id), f"there is no batch {id!r}: GET /batches lists them")


def read_plan(store: Store, id: str) -> Plan:
    """How far the images are listed."""
    return store.find(Plan, plan_key(id)) or Plan()
