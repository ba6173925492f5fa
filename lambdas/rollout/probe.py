"""Asks the endpoint what it serves: its version, whether it answers at all, and the golden questions of the checkpoint
that should be there.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from contract.checkpoints import GoldenQuestion, GoldenScore, read_golden
from contract.documents import MAX_FILE_BYTES
from contract.invocation import AnswerAttributes
from contract.limits import SDK_READ_TIMEOUT_S
from contract.models import GOLDEN, GOLDEN_TOLERANCE, NO_MODEL_URI, Promotion
from contract.problems import BadRequest, GatewayTimeout, ModelStopped, ProblemError, ServiceUnavailable, shorten
from contract.questions import Question
from contract.requests import EXAMPLE_IMAGE_BASE64, ClassifyRequest, parse_request
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import attributes_within, infer
from lambdas.aws.s3 import Store
from lambdas.stored.registry import StoredCheckpoint

ANOTHER_IMAGE_BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAHElEQVR42mP8//8/AzbAxIADkC7BKBd1gtZ2AADQRgRMsz4z"
    "BAAAAABJRU5ErkJggg=="
)
"""As a PNG, white above blue: whatever a model knows, it must not take it for the example."""

TWO_IMAGES = GoldenQuestion.model_construct(
    inputs=[EXAMPLE_IMAGE_BASE64, ANOTHER_IMAGE_BASE64],
    parameters={"candidate_labels": ["a red square", "a blue square", "something"]},
)
"""Asked of every checkpoint: tells its version, and that its scores are scores."""

SUM_TOLERANCE = 0.01


def fault_of(promotion: Promotion, replaced: str | None, artifacts: Store, endpoint: Endpoint) -> str | None:
    """What is wrong with the model behind the endpoint, or None if it is the promoted one and answers as it should.

    `replaced` is what the endpoint called the model that was live before: one whose own name is not known must at least
    be called otherwise. Raises ServiceUnavailable or GatewayTimeout if the endpoint is too busy to tell.
    """
    try:
        questions = [TWO_IMAGES, *golden_questions(promotion.artifact_s3_uri, artifacts)]
        for question in questions:
            asked = _read(question)
            answer, beside = _ask(asked, endpoint, promotion.id)
            if fault := (
                _wrong_version(promotion, replaced, beside.model_version)
                or _no_scores(asked.parameters.questions, answer if asked.listed else [answer])
                or (_wrong_scores(question.scores, answer) if question.scores and not asked.listed else None)
            ):
                return fault
            if question is TWO_IMAGES and answer[0] == answer[1]:
                return "the endpoint's scores are the same for any image"
    except (ServiceUnavailable, GatewayTimeout) as problem:
        if not isinstance(problem, ModelStopped):
            raise
        return f"the endpoint does not survive a golden question: {problem.detail}"
    except ProblemError as problem:
        return f"the endpoint does not answer a golden question: {problem.detail}"
    return None


def _ask(asked: ClassifyRequest, endpoint: Endpoint, id: str) -> tuple[Any, AnswerAttributes]:
    """The endpoint's answer, at the second attempt if its process has stopped: at what others asked, perhaps."""
    images = _images(asked)
    try:
        return infer(asked, images, endpoint, attributes_within(id, SDK_READ_TIMEOUT_S))
    except ModelStopped:
        return infer(asked, images, endpoint, attributes_within(id, SDK_READ_TIMEOUT_S))


def golden_questions(artifact_s3_uri: str, artifacts: Store) -> list[GoldenQuestion]:
    """Those of a checkpoint, if it has any. Raises BadRequest for a file that holds something else."""
    if artifact_s3_uri == NO_MODEL_URI:
        return []
    return read_golden(StoredCheckpoint.at(artifact_s3_uri, artifacts).read(GOLDEN, size_bytes=MAX_FILE_BYTES + 1))


def _read(question: GoldenQuestion) -> ClassifyRequest:
    body = json.dumps(question.model_dump(exclude={"scores"})).encode()
    request = parse_request("application/json", body, operation="classify")
    if not isinstance(request, ClassifyRequest) or request.parameters.candidate_labels is None:
        raise BadRequest("it has no candidate_labels")
    return request


def _images(request: ClassifyRequest) -> list[bytes]:
    images = [image for image in request.images if isinstance(image, bytes)]
    if len(images) != len(request.images):
        raise BadRequest("its image is no base64")
    return images


def _wrong_version(promotion: Promotion, replaced: str | None, served: str) -> str | None:
    if promotion.served_version is not None and served != promotion.served_version:
        return f"the endpoint serves {served!r} and not {promotion.served_version!r}"
    if promotion.served_version is None and served == replaced:
        return f"the endpoint still serves {served!r}, which is another model than {promotion.version!r}"
    return None


def _no_scores(questions: Mapping[str, Question], answers: Sequence[Any]) -> str | None:
    """What is wrong with the answers as such, whatever they say: each is a list of probabilities of what was asked."""
    (question,) = questions.values()
    asked = {label.label for label in question.candidate_labels}
    for answer in answers:
        shown = shorten(str(answer), 200)
        try:
            scores = {each["label"]: float(each["score"]) for each in answer}
        except (KeyError, TypeError, ValueError):
            return f"the endpoint's answer is no list of labels with scores: {shown}"
        if not scores or not scores.keys() <= asked:
            return f"the endpoint's answer is not of the labels that were asked for: {shown}"
        total = math.fsum(scores.values())
        all_of_one = scores.keys() == asked and not question.multi_label
        if not all(0 <= score <= 1 for score in scores.values()) or (all_of_one and abs(total - 1) > SUM_TOLERANCE):
            return f"the endpoint's scores are no probabilities: {shown}"
    return None


def _wrong_scores(expected: Sequence[GoldenScore], answer: Sequence[dict[str, Any]]) -> str | None:
    given = {each["label"]: each["score"] for each in answer}
    for each in expected:
        if abs(given.get(each.label, -1.0) - each.score) > GOLDEN_TOLERANCE:
            return (
                f"the endpoint's answers are not the checkpoint's: {each.label!r} scores {given.get(each.label)} where "
                f"it scored {each.score:.4f} when the model was made, and {GOLDEN_TOLERANCE} is allowed"
            )
    return None
