"""Asks the endpoint what it serves: its version, and the golden questions of the checkpoint that should be there."""

import json
from collections.abc import Sequence
from typing import Any

from contract.invocation import AnswerAttributes
from contract.limits import SDK_READ_TIMEOUT_S
from contract.models import GOLDEN, GOLDEN_TOLERANCE, NO_MODEL_URI, Promotion
from contract.problems import GatewayTimeout, ProblemError, ServiceUnavailable
from contract.requests import EXAMPLE_IMAGE_BASE64, parse_request
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import attributes_within, infer
from lambdas.aws.s3 import Store
from lambdas.stored.registry import StoredCheckpoint

Question = dict[str, Any]
"""The body of POST /classify about one image, and beside it "scores": the answer of the checkpoint when it was made."""

ANY_QUESTION: Question = {
    "inputs": EXAMPLE_IMAGE_BASE64,
    "parameters": {"candidate_labels": ["a red square", "a blue square"]},
}
"""For a checkpoint without golden questions: any answer tells the version."""


def fault_of(promotion: Promotion, replaced: str | None, artifacts: Store, endpoint: Endpoint) -> str | None:
    """What is wrong with the model behind the endpoint, or None if it is the promoted one and answers as it should.

    `replaced` is what the endpoint called the model that was live before: one whose own name is not known must at least
    be called otherwise. Raises ServiceUnavailable or GatewayTimeout if the endpoint is too busy to tell.
    """
    for question in golden_questions(promotion.artifact_s3_uri, artifacts):
        expected = question.pop("scores", [])
        try:
            answer, beside = _ask(endpoint, question, promotion.id)
        except (ServiceUnavailable, GatewayTimeout):
            raise
        except ProblemError as problem:
            return f"the endpoint does not answer a golden question: {problem.detail}"
        if fault := _wrong_version(promotion, replaced, beside.model_version) or _wrong_scores(expected, answer):
            return fault
    return None


def golden_questions(artifact_s3_uri: str, artifacts: Store) -> list[Question]:
    """Those of a checkpoint, or one whose answer tells the version only."""
    lines = b""
    if artifact_s3_uri != NO_MODEL_URI:
        lines = StoredCheckpoint.at(artifact_s3_uri, artifacts).read(GOLDEN) or b""
    return [json.loads(line) for line in lines.splitlines() if line] or [dict(ANY_QUESTION)]


def _ask(endpoint: Endpoint, question: Question, request_id: str) -> tuple[Any, AnswerAttributes]:
    request = parse_request("application/json", json.dumps(question).encode(), operation="classify")
    images = [image for image in request.images if isinstance(image, bytes)]
    return infer(request, images, endpoint, attributes_within(request_id, SDK_READ_TIMEOUT_S))


def _wrong_version(promotion: Promotion, replaced: str | None, served: str) -> str | None:
    if promotion.served_version is not None and served != promotion.served_version:
        return f"the endpoint serves {served!r} and not {promotion.served_version!r}"
    if promotion.served_version is None and served == replaced:
        return f"the endpoint still serves {served!r}, which is another model than {promotion.version!r}"
    return None


def _wrong_scores(expected: Sequence[dict[str, Any]], answer: Sequence[dict[str, Any]]) -> str | None:
    given = {each["label"]: each["score"] for each in answer}
    for each in expected:
        label, score = each["label"], each["score"]
        if abs(given.get(label, -1.0) - score) > GOLDEN_TOLERANCE:
            return (
                f"the endpoint's answers are not the checkpoint's: {label!r} scores {given.get(label)} where it scored "
                f"{score:.4f} when the model was made, and {GOLDEN_TOLERANCE} is allowed"
            )
    return None
