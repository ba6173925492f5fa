"""The "teach" operation: a head of annotated images for a question, and what it is worth."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import torch

from contract.problems import BadRequest, InternalError, TooManyRequests
from contract.teaching import Lesson, TeachRequest, Worth, embedding_text, head_digest
from model.clip.calibration import expected_calibration_error
from model.clip.encode import Clip
from model.clip.head import fit_head
from model.serving.heads import ServedHead, tensor_of
from model.serving.labels import LabelSet

MAX_WAITING = 8
"""Lessons at a time, of which one is being given. Most take less than a second."""
UNIT_TOLERANCE = 0.01
"""Of an embedding's length: towers in half precision are this exact."""


class Teacher:
    """Gives one lesson after another, in a thread of its own: whoever is answered meanwhile has the others."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._thread = ThreadPoolExecutor(1, "teacher")
        self._waiting = 0

    async def teach(self, request: TeachRequest, label_set: LabelSet) -> tuple[Lesson, ServedHead]:
        """The lesson about the question whose label set this is, and its head, ready to answer.

        Raises BadRequest for embeddings that are not the model's, and TooManyRequests if too many wait for theirs.
        """
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests(
                f"{self._waiting} other tasks are being taught, more are not let in: try again", retry_after_s=1
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._lesson, request, label_set)
        finally:
            self._waiting -= 1

    def _lesson(self, request: TeachRequest, label_set: LabelSet) -> tuple[Lesson, ServedHead]:
        clip, texts = self._clip, label_set.embeds.labels
        images = self._embeddings(request, texts.shape[1])  # [N, D]
        labels = torch.tensor(request.labels)
        scale = clip.logit_scale / (clip.calibration.temperature or 1.0)
        learnt = fit_head(images, labels, texts, scale, clip.background)
        if not all(torch.isfinite(each).all() for each in (learnt.logits, *learnt.head.tensors().values())):
            raise InternalError("nothing could be learnt of these images (NaN or infinite): quote the request id")
        head = ServedHead(learnt.head, clip.version, label_set.question)
        file = head.write()
        lesson = Lesson(
            head=embedding_text(file),
            sha256=head_digest(file),
            model_version=clip.version,
            question=label_set.question,
            images=torch.bincount(labels, minlength=len(texts)).tolist(),
            before=_worth(scale * images @ texts.T, labels),
            after=_worth(learnt.logits, labels),
            gain=learnt.gain,
            doubts=learnt.doubts.tolist(),
            answers=learnt.logits.argmax(dim=1).tolist(),
        )
        return lesson, head

    def _embeddings(self, request: TeachRequest, width: int) -> torch.Tensor:
        images = tensor_of(b"".join(request.embeddings)).reshape(len(request.embeddings), -1)
        if images.shape[1] != width:
            raise BadRequest(
                f"embeddings of {images.shape[1]} numbers, and those of the model {self._clip.version} have {width}: "
                "have the images inspected by it"
            )
        off = (images.norm(dim=1) - 1).abs()
        if not (off < UNIT_TOLERANCE).all():  # nor is this true of NaN
            place = int((~(off < UNIT_TOLERANCE)).int().argmax())
            raise BadRequest(
                f"embedding {place} is no vector of length 1, as an image's is: have the image inspected again"
            )
        return images


def _worth(logits: torch.Tensor, labels: torch.Tensor) -> Worth:
    right = (logits.argmax(dim=1) == labels).float().mean()
    error = expected_calibration_error(logits.softmax(dim=1), labels)
    return Worth(accuracy=float(right), calibration_error=error)
