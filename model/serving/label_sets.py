"""Label sets that are asked again: the second level of the label cache, from a question to its ready matrix.

Gathering the vectors of 1,000 labels costs more than comparing an image with them (benchmarks/serving.md).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from model.contract import Question
from model.scoring import LabelEmbeds, label_embeds, prompts_of
from model.serving.label_cache import LabelCache


@dataclass(frozen=True)
class LabelSet:
    """A question's labels as vectors, on the CPU, where scores are computed: an image's vector is a few kB, and to
    compare it with 1,000 labels takes a core no longer than to ask a GPU for it.
    """

    embeds: LabelEmbeds
    prompts: int
    truncated_prompts: int


class LabelSets:
    """The label sets asked for most recently, up to `capacity_rows` labels together. Lives on one event loop."""

    def __init__(self, labels: LabelCache, capacity_rows: int) -> None:
        self._labels = labels
        self._capacity_rows = capacity_rows
        self._known: OrderedDict[Hashable, LabelSet] = OrderedDict()
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
        embeds = label_embeds(question, {text: embedding.vector for text, embedding in found.items()})
        truncated = sum(embedding.truncated for embedding in found.values())
        self._keep(key, new := LabelSet(embeds, len(found), truncated))
        return new

    def _keep(self, key: Hashable, new: LabelSet) -> None:
        if key in self._known:  # two requests came with it at once
            return
        self._known[key] = new
        self._rows += len(new.embeds.labels)
        while self._rows > self._capacity_rows and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._rows -= len(forgotten.embeds.labels)


def _content(question: Question) -> Hashable:
    """All that a question's label vectors depend on, and nothing else: whoever asks the same finds them."""
    labels = tuple(
        (label.label, *label.annotations) if label.annotations else label.label for label in question.candidate_labels
    )
    return question.multi_label, tuple(question.hypothesis_template), labels
