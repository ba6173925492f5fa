"""Promotions of one stage."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from contract.models import NO_MODEL_URI, Model, Promotion
from contract.rollout_steps import RolloutEvent
from lambdas.aws.clients import Connect
from lambdas.aws.s3 import Store
from lambdas.rollout.main import Rollout
from lambdas.settings import RolloutSettings
from lambdas.stored.registry import Registry
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation
from tests.lambdas.sagemaker import JPEG_START, SageMaker

OLD_URI, NEW_URI = "s3://wordsight-data/models/old/", "s3://wordsight-data/models/new/"


UPDATE_ROLE_ARN = "arn:aws:iam::123456789012:role/update"


ID = "20261122120000-abcdef"


QUESTION = {
    "inputs": base64.b64encode(JPEG_START + b"golden").decode(),
    "parameters": {"candidate_labels": ["cat", "dog"]},
}


@dataclass
class Stage:
    """A stage whose endpoint serves whatever checkpoint CloudFormation has made live."""

    cloudformation: CloudFormation
    sagemaker: SageMaker
    registry: Registry
    rollout: Rollout
    bucket: Any
    settings: RolloutSettings
    connect: Connect

    def promote(self, **changes: Any) -> Promotion:
        """Ask for a promotion, and take its steps as the state machine does."""
        asked = {"version": "new", "artifact_s3_uri": NEW_URI, "served_version": "new", **changes}
        self.registry.put(Promotion(id=ID, created="2026-11-22T12:00:00+00:00", **asked))
        step = "update"
        for _ in range(20):
            answer = self.step(step)
            if answer["next"] in ("live", "failed"):
                break
            step = "check" if answer["next"] == "wait" else answer["next"]
        found = self.registry.promotion(ID)
        assert found is not None and found.state == answer["next"]
        assert answer["reason"] == (found.reason or "")
        return found

    def step(self, step: str, **more: Any) -> Any:
        return self.rollout.step(RolloutEvent.model_validate({"step": step, "promotion": ID, **more})).model_dump()

    def golden(self, *questions: dict[str, Any]) -> None:
        self.bucket.put_object(Key="models/new/golden.jsonl", Body="".join(json.dumps(q) + "\n" for q in questions))


@pytest.fixture
def stage(bucket: Any, sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch) -> Stage:
    cloudformation = CloudFormation()
    cloudformation.model_uri = OLD_URI

    def connect(service: str) -> Any:
        clients = {"cloudformation": cloudformation, "s3": bucket.meta.client}
        if service == "sagemaker-runtime":
            versions = {OLD_URI: "old", NEW_URI: "new", NO_MODEL_URI: "base-1234"}
            sagemaker.says = type(sagemaker.says)(versions.get(cloudformation.model_uri, "unknown"))
        return clients.get(service) or sagemaker.client(service)

    settings = RolloutSettings(
        artifacts_bucket=bucket.name,
        serving_stack=SERVING_STACK,
        endpoint_name="wordsight-test",
        update_role_arn=UPDATE_ROLE_ARN,
        variant_name="AllTraffic",
        data_bucket=bucket.name,
        pause_after_idle_min=60,
    )
    registry = Registry(Store(bucket.name, connect))
    for version, uri in (("old", OLD_URI), ("new", NEW_URI)):
        registry.add(
            Model(version=version, artifact_s3_uri=uri, served_version=version, created="2026", source="training")
        )
    return Stage(cloudformation, sagemaker, registry, Rollout(settings, connect), bucket, settings, connect)
