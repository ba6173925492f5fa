"""SageMaker as the Lambda's clients meet it: real botocore requests go in, real HTTP responses come out, no network.

The container behind it reads each request with the contract, so it answers what it was really sent.
"""

import io
import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from contract.answers import Inspection, LabelScore, arrange, render_classify
from contract.images import ThumbnailRequest
from contract.invocation import AnswerAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, MAX_INVOCATION_BYTES
from contract.model_cards import EndpointCards
from contract.perceptual_hash import COLOURS, encode
from contract.problems import ProblemError, UnknownHeads, UnprocessableImage
from contract.questions import Question
from contract.requests import ClassifyRequest, DescribeRequest, EmbedRequest, InspectRequest, Request, parse_request
from contract.serving_function import Invocation, Invoked
from contract.teaching import (
    NUMBER_BYTES,
    HeadFile,
    Lesson,
    TeachRequest,
    Worth,
    embedding_text,
    head_digest,
    question_digest,
)
from lambdas.aws.clients import MODEL_FUNCTION, MODELS, connect

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG"
Failure = Exception | tuple[int, str, dict[str, Any]]
"""What happens instead of an answer: an exception of botocore's transport, or (HTTP status, error type, members)."""


class SageMaker:
    """One endpoint. `requests` holds what its container read, `failure` makes the next calls fail."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.custom_attributes: list[str] = []
        self.calls = 0
        self.endpoint_status = "InService"
        self.instances = 1
        self.failure: Failure | None = None
        self.failures: list[Failure] = []
        """Each happens to one call."""
        self.says = AnswerAttributes("tiny@1", 0, 77, {"model": 3.0})
        self.cards = EndpointCards()
        self.heads: dict[str, bytes] = {}
        self.learns = Learning()
        self._clients = {
            "sagemaker-runtime": _client("sagemaker-runtime", self._invocation),
            "sagemaker": _client("sagemaker", self._description),
        }

    def connect(self, service: str) -> Any:
        """The clients of `lambdas.clients.connect`, with this endpoint behind those of SageMaker."""
        return self._clients.get(service) or connect(service)

    def client(self, service: str) -> Any:
        return self._clients[service]

    def _invocation(self, request: AWSPreparedRequest) -> AWSResponse:
        if failed := self._fail():
            return failed
        body = _body(request)
        status, text, attributes = self.answer(
            _text(request.headers["content-type"]), _text(request.headers[CUSTOM_ATTRIBUTES_HEADER]), body
        )
        if status != 200:
            return model_error(status, text)
        return _response(200, {"content-type": "application/json", CUSTOM_ATTRIBUTES_HEADER: attributes}, text)

    def answer(self, content_type: str, custom_attributes: str, body: bytes) -> tuple[int, str, str]:
        """What the container says: status, JSON text and its own custom attributes."""
        self.bodies.append(body)
        self.custom_attributes.append(custom_attributes)
        try:
            parsed = parse_request(content_type, body, max_image_bytes=MAX_INVOCATION_BYTES)
            self.requests.append(parsed)
            used = self._heads_of(parsed) if isinstance(parsed, ClassifyRequest) else {}
            answer = self._answer(parsed, used)
        except ProblemError as problem:
            return problem.status, json.dumps(problem.body()), ""
        says = replace(self.says, heads=tuple(sorted({head_digest(head) for head in used.values()})))
        return 200, json.dumps(answer), says.encode()

    def _answer(self, request: Request, heads: Mapping[str, bytes]) -> Any:
        if isinstance(request, DescribeRequest):
            return self.cards.model_dump()
        if isinstance(request, TeachRequest):
            return self.learns.lesson(request, self.says.model_version).model_dump()
        if isinstance(request, ThumbnailRequest):
            return arrange(
                [_or_problem(each) or _shrunk(each, request.size_px) for each in request.images], listed=True
            )
        return infer(request, heads)

    def _heads_of(self, request: ClassifyRequest) -> dict[str, bytes]:
        """By question the head that answers it, of those that the container holds."""
        self.heads.update(request.head_files)
        if unknown := {*request.heads.values()} - self.heads.keys():
            raise UnknownHeads(sorted(unknown))
        held = {name: self.heads[sha256] for name, sha256 in request.heads.items()}
        return {name: head for name, head in held.items() if self._fits(head, request.parameters.questions[name])}

    def _fits(self, head: bytes, question: Question) -> bool:
        file = HeadFile.read(head)
        return (file.model_version, file.question) == (self.says.model_version, question_digest(question))

    def _description(self, _: AWSPreparedRequest) -> AWSResponse:
        members = {
            "EndpointName": "wordsight-test",
            "EndpointStatus": self.endpoint_status,
            "ProductionVariants": [{"VariantName": "AllTraffic", "CurrentInstanceCount": self.instances}],
        }
        return self._fail() or _response(200, {}, json.dumps(members))

    def _fail(self) -> AWSResponse | None:
        self.calls += 1
        failure = self.failures.pop() if self.failures else self.failure
        if isinstance(failure, Exception):
            raise failure
        return error_response(*failure) if failure else None


FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:wordsight-test"


class ModelFunction(SageMaker):
    """The same container as a Lambda function. `died`: what the function's runtime says in place of an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.state = {"State": "Active", "LastUpdateStatus": "Successful"}
        self.died: dict[str, Any] | None = None
        self._clients = {
            MODEL_FUNCTION: _client(MODEL_FUNCTION, self._function_invocation),
            "lambda": _client("lambda", self._configuration),
        }

    def _function_invocation(self, request: AWSPreparedRequest) -> AWSResponse:
        if failed := self._fail():
            return failed
        if self.died is not None:
            return _response(200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(self.died))
        assert request.headers["X-Amz-Invocation-Type"] in ("RequestResponse", b"RequestResponse")
        given = Invocation.model_validate_json(_body(request))
        status, text, attributes = self.answer(given.content_type, given.custom_attributes, given.body_bytes())
        invoked = Invoked(status=status, content_type="application/json", custom_attributes=attributes, body=text)
        return _response(200, {}, invoked.model_dump_json())

    def _configuration(self, _: AWSPreparedRequest) -> AWSResponse:
        return self._fail() or _response(200, {}, json.dumps({"FunctionName": "wordsight-test", **self.state}))


def infer(
    request: ClassifyRequest | EmbedRequest | InspectRequest, heads: Mapping[str, bytes] = MappingProxyType({})
) -> Any:
    """Scores that depend on every byte of the image, the prompts and the head, and on nothing else."""
    if isinstance(request, ClassifyRequest):
        questions = request.parameters.questions.items()
        answers = [
            _or_problem(image) or {name: _scores(image, q, heads.get(name, b"")) for name, q in questions}
            for image in request.images
        ]
        return render_classify(request, answers)
    if isinstance(request, InspectRequest):
        return arrange([_or_problem(image) or _inspection(image) for image in request.images], listed=True)
    vectors = [_or_problem(image) or _vector(image) for image in request.images]
    return {"images": arrange(vectors, listed=True), "texts": [_vector(text.encode()) for text in request.texts]}


def _or_problem(image: Any) -> ProblemError | None:
    known = image.startswith((JPEG_START, PNG_START))
    return None if known else UnprocessableImage("the image is not one: send a JPEG")


def _scores(image: Any, question: Question, head: bytes) -> list[LabelScore]:
    weights = [
        math.exp(sha256(image + head + json.dumps(question.prompts(label)).encode()).digest()[0] / 64)
        for label in question.candidate_labels
    ]
    scores = [
        LabelScore(label=label.label, score=weight / sum(weights))
        for label, weight in zip(question.candidate_labels, weights, strict=True)
    ]
    return sorted(scores, key=lambda each: -each["score"])[: question.top_k]


def _shrunk(image: Any, size_px: int) -> str:
    return embedding_text(image[: len(JPEG_START)] + f"{size_px} px of {sha256(image).hexdigest()}".encode())


def _inspection(image: Any) -> Inspection:
    """Images look the same here if their bytes are the same."""
    digest = sha256(image)
    return Inspection(
        sha256=digest.hexdigest(),
        size_bytes=len(image),
        media_type="image/jpeg",
        width=8,
        height=8,
        perceptual_hash=encode(int.from_bytes(digest.digest()[:8], "big"), digest.digest() * (COLOURS // 32)),
        embedding=embedding_text(struct.pack("<4f", *_vector(image))),
    )


@dataclass
class Learning:
    """What is learnt from images, as far as a test decides it: by how much it helps, and which labels are doubted."""

    gain: float | None = 0.25
    accuracy: float = 0.75
    doubts: Sequence[float] = ()

    def lesson(self, request: TeachRequest, model_version: str) -> Lesson:
        question, labels = question_digest(request.question), len(request.question.candidate_labels)
        numbers = len(request.embeddings[0]) // NUMBER_BYTES
        seen = sha256(b"".join(request.embeddings) + str(request.labels).encode()).digest()[:2] + bytes(2)
        tensors = {"weights": bytes(NUMBER_BYTES * labels * numbers), "biases": seen * labels}
        head = HeadFile(model_version, question, labels, numbers, tensors).write()
        return Lesson(
            head=embedding_text(head),
            sha256=head_digest(head),
            model_version=model_version,
            question=question,
            images=[request.labels.count(label) for label in range(labels)],
            before=Worth(accuracy=0.5, calibration_error=0.25),
            after=Worth(accuracy=self.accuracy, calibration_error=0.125),
            gain=self.gain,
            doubts=[*self.doubts, *[0.0] * len(request.labels)][: len(request.labels)],
            answers=[(label + 1) % labels for label in request.labels],
        )


def _vector(content: Any) -> list[float]:
    digest = sha256(content).digest()[:4]
    length = math.hypot(*digest)
    return [byte / length for byte in digest]


def model_error(status: int, message: str) -> AWSResponse:
    """How SageMaker hands a container's error on."""
    return error_response(424, "ModelError", model_error_members(status, message))


def model_error_members(status: int, message: str) -> dict[str, Any]:
    """The members of SageMaker's ModelError for a container that answered `message` with `status`."""
    side = "client" if 400 <= status < 500 else "server"
    return {
        "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/wordsight-test",
        "Message": f'Received {side} error ({status}) from primary with message "{message}". See CloudWatch.',
        "OriginalMessage": message,
        "OriginalStatusCode": status,
    }


def error_response(status: int, error_type: str, members: dict[str, Any]) -> AWSResponse:
    """An AWS error as both of SageMaker's protocols write it: REST names its type in a header, JSON in `__type`."""
    return _response(status, {"x-amzn-errortype": error_type}, json.dumps({"__type": error_type, **members}))


def _response(status: int, headers: dict[str, str], text: str) -> AWSResponse:
    content = text.encode()

    class Raw(io.BytesIO):
        def stream(self, **_: Any) -> Any:
            while chunk := self.read(65536):
                yield chunk

    every = {"x-amzn-requestid": "aws-request-1", "content-length": str(len(content)), **headers}
    return AWSResponse("https://sagemaker.test", status, every, Raw(content))


def _body(request: AWSPreparedRequest) -> bytes:
    return request.body.read() if hasattr(request.body, "read") else bytes(request.body)


def _client(service: str, respond: Callable[[AWSPreparedRequest], AWSResponse]) -> Any:
    client = connect.__wrapped__(service)  # uncached: it belongs to one endpoint
    client.meta.events.register(f"before-send.{MODELS.get(service, service)}", lambda request, **_: respond(request))
    return client


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header
