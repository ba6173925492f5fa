"""Caches of labels, both least recently used first out: of texts as embeddings, and of whole questions as label sets.

A text is encoded once, however many requests ask for it (single flight); a label set is gathered from its texts once.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from contract.problems import InternalError, TooManyRequests
from contract.questions import Question
from contract.teaching import question_digest
from model.clip.processing import TextEmbedding
from model.clip.scoring import LabelEmbeds, label_embeds, prompts_of

TEXT_BATCH = 64
"""Bounds one turn on the device, so that a long request can't hold up the short ones behind it."""

NO_TEXT_VECTOR = "the model made no numbers of a text (NaN or infinite): quote the request id"

PROMPTS_AT_ONCE = 1_000
"""More are gathered in a thread: 20,000 take some 80 ms, in which the event loop would answer nobody."""


class LabelCache:
    """The embeddings of the texts asked for most recently, and of those being encoded now.

    It belongs to one model, so the text alone is the key. It lives on one event loop, so it needs no lock.
    Once an encoding has started it ends in the cache, even if whoever asked has gone: asking again finds it warm. So
    no more is begun than the cache can keep; beyond that, texts would be forgotten before anybody asked again.
    """

    def __init__(self, encode: Callable[[Sequence[str]], Awaitable[list[TextEmbedding]]], capacity: int) -> None:
        self._encode = encode
        self._capacity = capacity
        self._known: OrderedDict[str, TextEmbedding] = OrderedDict()
        self._pending: dict[str, asyncio.Task[dict[str, TextEmbedding]]] = {}
        self._s_per_text = 0.0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def pending(self) -> int:
        """How many texts are being encoded or wait for it."""
        return len(self._pending)

    @property
    def wait_s(self) -> int:
        """How long that will take, going by the batch before; at least 1."""
        return self._duration_s(len(self._pending))

    async def embed(self, texts: Iterable[str]) -> dict[str, TextEmbedding]:
        """The embedding of every distinct text, encoding those that are neither known nor on their way.

        Raises TooManyRequests, and begins nothing, if those and what is on its way are more than the cache can keep.
        A request that comes alone is never too large.
        """
        wanted = dict.fromkeys(texts)
        found = {text: self._known[text] for text in wanted if text in self._known}
        for text in found:
            self._known.move_to_end(text)
        new = [text for text in wanted if text not in found and text not in self._pending]
        self._refuse_too_many(len(new))
        self.hits += len(found)
        self.misses += len(wanted) - len(found)
        self._start(new)
        tasks = {self._pending[text] for text in wanted if text not in found}
        for batch in await asyncio.gather(*map(asyncio.shield, tasks)):
            found.update(batch)
        return {text: found[text] for text in wanted}

    async def settle(self) -> None:
        """Wait until nothing is on its way, whatever becomes of it."""
        while self._pending:
            await asyncio.wait({*self._pending.values()})

    def _refuse_too_many(self, new: int) -> None:
        excess = self.pending + new - self._capacity
        if new and self.pending and excess > 0:
            wait_s = self._duration_s(min(excess, self.pending))
            raise TooManyRequests(
                f"{self.pending} label texts wait to be read by the model, and {new} new ones make more than the "
                f"{self._capacity} that are taken at once: try again in {wait_s} s",
                retry_after_s=wait_s,
            )

    def _duration_s(self, texts: int) -> int:
        return max(1, math.ceil(texts * self._s_per_text))

    def _start(self, texts: list[str]) -> None:
        """Encode `texts` in batches of similar length, one at a time: the requests of others go in between."""
        turn = asyncio.Lock()
        texts = sorted(texts, key=len)
        for start in range(0, len(texts), TEXT_BATCH):
            batch = texts[start : start + TEXT_BATCH]
            self._pending.update(dict.fromkeys(batch, asyncio.create_task(self._fill(batch, turn))))

    async def _fill(self, texts: list[str], turn: asyncio.Lock) -> dict[str, TextEmbedding]:
        try:
            async with turn:
                started_s = time.monotonic()
                embeddings = dict(zip(texts, await self._encode(texts), strict=True))
                self._s_per_text = (time.monotonic() - started_s) / len(texts)
        finally:
            for text in texts:
                del self._pending[text]
        self._known.update(embeddings)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return embeddings


@dataclass(frozen=True)
class LabelSet:
    """A question's labels as vectors, on the CPU, where scores are computed: an image's vector is a few kB, and to
    compare it with 1,000 labels takes a core no longer than to ask a GPU for it.
    """

    embeds: LabelEmbeds
    truncated_prompts: int
    question: str
    """`question_digest` of it."""


class LabelSets:
    """The label sets asked for most recently, up to `capacity_rows` labels together. Lives on one event loop."""

    def __init__(self, labels: LabelCache, capacity_rows: int) -> None:
        self._labels = labels
        self._capacity_rows = capacity_rows
        self._known: OrderedDict[str, LabelSet] = OrderedDict()
        self._rows = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    async def embed(self, question: Question) -> LabelSet:
        """The question's label set; its texts are encoded if they are new. Raises what `LabelCache.embed` raises,
        and InternalError if the model makes no numbers of them.
        """
        key = question_digest(question)  # the sentences themselves, which may be many more than labels, are not kept
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
        if not embeds.are_finite:
            raise InternalError(NO_TEXT_VECTOR)
        truncated = sum(embedding.truncated for embedding in found.values())
        new = LabelSet(embeds, truncated, key)
        if key in self._known:  # two requests came with it at once
            return new
        self._known[key] = new
        self._rows += len(embeds.labels)
        while self._rows > self._capacity_rows and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._rows -= len(forgotten.embeds.labels)
        return new
