"""A text is encoded once, however many ask for it, and never for nothing."""

import asyncio
from collections.abc import Sequence

import pytest
import torch

from contract.problems import TooManyRequests
from model.clip.encode import TextEmbedding
from model.serving.labels import TEXT_BATCH, LabelCache


class Encoder:
    """Embeds a text as its length, remembers what it was asked, and waits while `gate` is closed."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self.batches.append(list(texts))
        await asyncio.sleep(0)
        await self.gate.wait()
        return [TextEmbedding(torch.tensor([float(len(text))]), truncated=False) for text in texts]

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


def test_a_known_text_is_not_encoded_again() -> None:
    async def scenario() -> None:
        encode = Encoder()
        cache = LabelCache(encode, capacity=10)
        first = await cache.embed(["cat", "horse", "cat"])
        assert {text: embedding.vector.item() for text, embedding in first.items()} == {"cat": 3, "horse": 5}
        await cache.embed(["horse", "cow"])
        assert encode.texts == ["cat", "horse", "cow"]
        assert (cache.hits, cache.misses, len(cache)) == (1, 3, 3)

    asyncio.run(scenario())


def test_two_requests_for_the_same_text_share_one_encoding() -> None:
    async def scenario() -> None:
        encode = Encoder()
        encode.gate.clear()
        cache = LabelCache(encode, capacity=10)
        asked = [asyncio.create_task(cache.embed(["cat"])) for _ in range(3)]
        await asyncio.sleep(0)
        encode.gate.set()
        assert all(list(found) == ["cat"] for found in await asyncio.gather(*asked))
        assert encode.texts == ["cat"]

    asyncio.run(scenario())


def test_an_encoding_ends_in_the_cache_even_if_whoever_asked_has_gone() -> None:
    async def scenario() -> None:
        encode = Encoder()
        encode.gate.clear()
        cache = LabelCache(encode, capacity=1000)
        texts = [f"label {number}" for number in range(3 * TEXT_BATCH)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await cache.embed(texts)
        assert cache.pending == len(texts)
        encode.gate.set()
        while cache.pending:
            await asyncio.sleep(0)
        assert len(cache) == len(texts)
        await cache.embed(texts)
        assert sorted(encode.texts) == sorted(texts)

    asyncio.run(scenario())


def test_a_short_request_goes_in_between_the_batches_of_a_long_one() -> None:
    async def scenario() -> None:
        encode = Encoder()
        cache = LabelCache(encode, capacity=1000)
        long = asyncio.create_task(cache.embed([f"long {number}" for number in range(4 * TEXT_BATCH)]))
        short = asyncio.create_task(cache.embed(["short"]))
        await asyncio.gather(long, short)
        assert ["short"] in encode.batches[:2]
        assert max(len(batch) for batch in encode.batches) == TEXT_BATCH

    asyncio.run(scenario())


def test_the_texts_asked_for_longest_ago_are_forgotten_first() -> None:
    async def scenario() -> None:
        encode = Encoder()
        cache = LabelCache(encode, capacity=2)
        await cache.embed(["a"])
        await cache.embed(["b"])
        await cache.embed(["a"])
        await cache.embed(["c"])
        await cache.embed(["a"])
        assert encode.texts == ["a", "b", "c"]
        await cache.embed(["b"])
        assert encode.texts == ["a", "b", "c", "b"]

    asyncio.run(scenario())


def test_a_request_larger_than_the_cache_is_answered_all_the_same() -> None:
    async def scenario() -> None:
        cache = LabelCache(Encoder(), capacity=2)
        assert list(await cache.embed(["a", "b", "c", "d"])) == ["a", "b", "c", "d"]
        assert len(cache) == 2

    asyncio.run(scenario())


def test_no_more_is_begun_than_the_cache_can_keep_and_what_is_on_its_way_may_be_shared() -> None:
    async def scenario() -> None:
        encode = Encoder()
        encode.gate.clear()
        cache = LabelCache(encode, capacity=3)
        begun = asyncio.create_task(cache.embed(["a", "b"]))
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match=r"2 label texts wait .* 2 new ones .* the 3 that") as refused:
            async with asyncio.timeout(30):
                await cache.embed(["c", "d"])
        assert (refused.value.retry_after_s, cache.pending, cache.misses) == (1, 2, 2)
        shared = asyncio.create_task(cache.embed(["a", "b", "c"]))
        await asyncio.sleep(0)
        encode.gate.set()
        assert [list(found) for found in await asyncio.gather(begun, shared)] == [["a", "b"], ["a", "b", "c"]]
        assert list(await cache.embed(["c", "d"])) == ["c", "d"]

    asyncio.run(scenario())


def test_a_failed_encoding_is_reported_and_tried_again() -> None:
    async def scenario() -> None:
        encode = Encoder()

        async def fail_once(texts: Sequence[str]) -> list[TextEmbedding]:
            if not encode.batches:
                encode.batches.append([])
                raise RuntimeError("out of memory")
            return await encode(texts)

        cache = LabelCache(fail_once, capacity=10)
        with pytest.raises(RuntimeError, match="out of memory"):
            await cache.embed(["cat"])
        assert list(await cache.embed(["cat"])) == ["cat"]

    asyncio.run(scenario())
