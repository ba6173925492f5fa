"""The heads that were asked for most recently: what annotated images have taught about questions, by their sha256."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from contract.problems import UnknownHeads
from contract.teaching import HeadFile
from model.clip.head import Head
from model.clip.scoring import LabelEmbeds, with_unknown

NUMBERS = np.dtype("<f4")
"""As heads and embeddings are written."""


@dataclass(frozen=True)
class ServedHead:
    """A head that is ready to answer. It belongs to one version of the model and to one question."""

    head: Head
    model_version: str
    question: str

    @classmethod
    def read(cls, content: bytes) -> Self:
        """From its file. Raises BadRequest."""
        file = HeadFile.read(content)
        shapes = file.shapes()
        named = {name: tensor_of(numbers).reshape(shapes[name]) for name, numbers in file.tensors.items()}
        named["text_only"] = named.get("text_only", torch.zeros(file.labels)) > 0
        return cls(Head(**named), file.model_version, file.question)

    def write(self) -> bytes:
        """Its file."""
        found = self.head.tensors()
        if not self.head.text_only.any():
            del found["text_only"]
        tensors = {name: numbers_of(each) for name, each in found.items()}
        labels, width = self.head.weights.shape
        return HeadFile(self.model_version, self.question, labels, width, tensors).write()

    @property
    def size_bytes(self) -> int:
        """In memory."""
        return sum(tensor.nbytes for tensor in self.head.tensors().values())

    def belongs_to(self, model_version: str, question: str, embeds: LabelEmbeds) -> bool:
        """Whether it is this model's, and of the question with this digest, whose labels have these vectors."""
        said = (self.model_version, self.question) == (model_version, question)
        return said and self.head.weights.shape == embeds.labels.shape

    @torch.inference_mode()
    def scores(self, image_embeds: torch.Tensor, unknown: bool = False) -> torch.Tensor:
        """Of the question's labels [B, L] for image_embeds [B, D]: a softmax, which needs no temperature any more.

        With `unknown` [B, L + 1]: the last one tells how likely it is that no label fits.
        """
        logits = self.head.logits(image_embeds)
        scores = torch.softmax(logits, dim=-1)
        return with_unknown(scores, self.head.unknown(image_embeds, logits)) if unknown else scores


def tensor_of(numbers: bytes) -> torch.Tensor:
    """Little-endian fp32 as a tensor of its own, in a row."""
    return torch.from_numpy(np.frombuffer(numbers, NUMBERS).astype(np.float32))


def numbers_of(tensor: torch.Tensor) -> bytes:
    """A tensor as little-endian fp32."""
    return tensor.numpy().astype(NUMBERS).tobytes()


class Heads:
    """A cache of so many bytes, least recently used first out. Lives on one event loop, so it needs no lock."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._known: OrderedDict[str, ServedHead] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def add(self, name: str, head: ServedHead) -> None:
        """Keep one; what was asked for longest ago makes room for it."""
        if name in self._known:  # two requests came with it at once
            return
        self._known[name] = head
        self.bytes += head.size_bytes
        while self.bytes > self._capacity_bytes and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self.bytes -= forgotten.size_bytes

    def find(self, names: Mapping[str, str], sent: Mapping[str, ServedHead]) -> dict[str, ServedHead]:
        """The head of each question, of those that are kept and those that came along, which are kept from now on.

        `names`: by question, the sha256. Raises UnknownHeads, and keeps what came along all the same.
        """
        wanted = sorted({*names.values()})
        found = {name: self._known.get(name) or sent.get(name) for name in wanted}
        known = [name for name in wanted if name in self._known]
        self.hits += len(known)
        self.misses += len(wanted) - len(known)
        for name in known:
            self._known.move_to_end(name)
        for name in sent.keys() & found.keys():
            self.add(name, sent[name])
        if unknown := [name for name, head in found.items() if head is None]:
            raise UnknownHeads(unknown)
        return {question: head for question, name in names.items() if (head := found[name]) is not None}
