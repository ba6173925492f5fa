"""Promotions as they are told of: one that was asked for and never begun has failed, whatever its document says."""

from __future__ import annotations

from collections.abc import Iterator

from contract.models import Promotion
from lambdas.aws.clients import Connect
from lambdas.aws.executions import Executions, may_begin
from lambdas.aws.s3 import Store
from lambdas.settings import ManageSettings
from lambdas.stored.registry import Registry

NEVER_BEGAN = "it never began: what should have started it was cut off; promote the version again"


class Promotions:
    """Those of one stage. Every method raises ServiceUnavailable if S3 or Step Functions is silent."""

    def __init__(self, settings: ManageSettings, connect: Connect) -> None:
        self._registry = Registry(Store(settings.artifacts_bucket, connect))
        self._executions = Executions(settings.promotion_machine_arn, connect)

    def find(self, id: str) -> Promotion | None:
        """A promotion, or None where there is none of this id."""
        promotion = self._registry.promotion(id)
        return self._told(promotion) if promotion else None

    def all(self) -> Iterator[Promotion]:
        """Every promotion, the newest first."""
        return map(self._told, self._registry.promotions())

    def start(self, promotion: Promotion) -> None:
        """Begin its work, unless that has begun."""
        self._executions.start(promotion.id, {"promotion": promotion.id})

    def _told(self, promotion: Promotion) -> Promotion:
        if promotion.state != "requested" or may_begin(promotion.created):
            return promotion
        if self._executions.describe(promotion.id) is not None:
            return promotion
        return promotion.model_copy(update={"state": "failed", "reason": NEVER_BEGAN})
