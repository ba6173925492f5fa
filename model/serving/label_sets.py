"""Label sets that are asked again: the second level of the label cache, from a question to its ready matrix.

Gathering the vectors of 1,000 labels costs more than comparing an image with them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import orjson

from model.contract import Question
from model.scoring import LabelEmbeds, label_embeds, prompts_of
from model.serving.label_cache import LabelCache

PROMPTS_AT_ONCE = 1_000
"""More are gathered in a thread: 20,000 take some 80 ms, in which the event loop would answer nobody."""


@dataclass(frozen=True)
class LabelSet:
    """A question's labels as vectors, on the CPU, where scores are computed: an image's vector is a few kB, and to
    compare it with 1,000 labels takes a core no longer than to ask a GPU for it.
    """

    embeds: LabelEmbeds
    truncated_prompts: int


class LabelSets:
    """The label sets asked for most recently, up to `capacity_rows` labels together. Lives on one event loop."""

    def __init__(self, labels: LabelCache, capacity_rows: int) -> None:
        self._labels = labels
        self._capacity_rows = capacity_rows
        self._known: OrderedDict[bytes, LabelSet] = OrderedDict()
        self._rows = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    async def embed(self, question: Question) -> LabelSet:
        """The question's label set; its texts are encoded if they are new. Raises what `LabelCache.embed` raises."""
        key = _content(question)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            self.hits += 1
            return known
        self.misses += 1
        found = await self._labels.embed(prompts_of(question))
        vectors = {text: embedding.vector for text, embedding in found.items()}
        if len(vectors) > PROMPTS_AT_ONCE:
            embeds = await asyncio.to_thread(label_embeds, question, vectors)
        else:
            embeds = label_embeds(question, vectors)
        truncated = sum(embedding.truncated for embedding in found.values())
        self._keep(key, new := LabelSet(embeds, truncated))
        return new

    def _keep(self, key: bytes, new: LabelSet) -> None:
        if key in self._known:  # two requests came with it at once
            return
        self._known[key] = new
        self._rows += len(new.embeds.labels)
        while self._rows > self._capacity_rows and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._rows -= len(forgotten.embeds.labels)


def _content(question: Question) -> bytes:
    """A digest of all that a question's label vectors depend on, and of nothing else: whoever asks the same finds them.
    The sentences themselves, which may be many more than labels, are not kept.
    """
    labels = [
        [label.label, *label.annotations] if label.annotations else label.label for label in question.candidate_labels
    ]
    content = orjson.dumps([question.multi_label, question.hypothesis_template, labels])
    return hashlib.blake2b(content, digest_size=32).digest()
