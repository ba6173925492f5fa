"""A text is encoded once, however many ask for it, and never for nothing; a label set is gathered once."""

import asyncio
from collections.abc import Sequence

import pytest
import torch
from torch.nn.functional import normalize

from contract.problems import TooManyRequests
from contract.questions import Label, Question
from contract.teaching import question_digest
from model.clip.processing import TextEmbedding
from model.clip.scoring import label_embeds, prompts_of
from model.serving.labels import PROMPTS_AT_ONCE, TEXT_BATCH, LabelCache, LabelSets


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


def test_who_waits_until_it_settles_finds_all_that_was_begun() -> None:
    async def scenario() -> None:
        encoder = Encoder()
        cache = LabelCache(encoder, capacity=1000)
        texts = [f"label {number}" for number in range(TEXT_BATCH + 1)]
        asked = asyncio.create_task(cache.embed(texts))
        await asyncio.sleep(0)
        asked.cancel()
        await cache.settle()
        assert (cache.pending, len(cache)) == (0, len(texts))

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


def vector(text: str) -> torch.Tensor:
    seed = sum(ord(character) * 31**place for place, character in enumerate(text)) % 2**31
    return normalize(torch.randn(4, generator=torch.Generator().manual_seed(seed)), dim=0)


async def encode(texts: Sequence[str]) -> list[TextEmbedding]:
    return [TextEmbedding(vector(text), truncated=len(text) > 40) for text in texts]


def ask(*labels: str | Label, **options: object) -> Question:
    return Question(candidate_labels=list(labels), **options)


def sets_of(capacity_rows: int = 100) -> LabelSets:
    return LabelSets(LabelCache(encode, 1000), capacity_rows)


def test_the_same_question_is_gathered_once_and_its_vectors_are_its_labels() -> None:
    async def scenario() -> None:
        sets, question = sets_of(), ask("cat", "dog", multi_label=True)
        first, second = await sets.embed(question), await sets.embed(ask("cat", "dog", multi_label=True))
        assert first is second
        assert (sets.hits, sets.misses, len(sets)) == (1, 1, 1)
        assert first.question == question_digest(question)
        expected = label_embeds(question, {prompt: vector(prompt) for prompt in prompts_of(question)})
        assert torch.equal(first.embeds.labels, expected.labels)
        assert expected.neutral is not None and torch.equal(first.embeds.neutral, expected.neutral)

    asyncio.run(scenario())


def test_whatever_changes_a_vector_makes_another_set_and_nothing_else_does() -> None:
    described = Label(label="cat", annotations=["a small pet"])
    different = [
        ask("cat", "dog"),
        ask("dog", "cat"),
        ask("cat", "dog", hypothesis_template="a {}"),
        ask("cat", "dog", multi_label=True),
        ask(described, "dog"),
        ask(Label(label="a small pet", annotations=["cat"]), "dog"),
    ]
    same = [ask("cat", "dog", top_k=1), ask("cat", "dog", threshold=0.5), ask("cat", "dog", thresholds={"cat": 0.1})]

    async def scenario() -> None:
        sets = sets_of()
        for question in different:
            await sets.embed(question)
        assert len(sets) == len(different)
        for question in same:
            await sets.embed(question)
        assert sets.hits == len(same)

    asyncio.run(scenario())


def test_the_sets_asked_for_longest_ago_are_forgotten_when_their_rows_are_too_many() -> None:
    async def scenario() -> None:
        sets = sets_of(capacity_rows=5)
        await sets.embed(ask("a", "b"))
        await sets.embed(ask("c", "d"))
        await sets.embed(ask("a", "b"))
        await sets.embed(ask("e", "f"))
        assert len(sets) == 2
        await sets.embed(ask("a", "b"))
        assert (sets.hits, sets.misses) == (2, 3)

    asyncio.run(scenario())


def test_a_set_larger_than_all_of_them_may_be_is_answered_all_the_same() -> None:
    async def scenario() -> None:
        sets = sets_of(capacity_rows=2)
        assert (await sets.embed(ask(*"abcdef"))).embeds.labels.shape == (6, 4)

    asyncio.run(scenario())


def test_what_was_cut_off_is_said_again_whenever_the_set_is_asked() -> None:
    async def scenario() -> None:
        sets, question = sets_of(), ask("cat", "x" * 50)
        assert [(await sets.embed(question)).truncated_prompts for _ in range(2)] == [1, 1]

    asyncio.run(scenario())


def test_thousands_of_labels_are_gathered_beside_the_event_loop() -> None:
    async def scenario() -> None:
        question = ask(*(f"label {number}" for number in range(PROMPTS_AT_ONCE + 1)))
        found = await LabelSets(LabelCache(encode, 5000), 5000).embed(question)
        last = question.candidate_labels[-1]
        assert torch.allclose(found.embeds.labels[-1], vector(question.prompts(last)[0]), atol=1e-6)

    asyncio.run(scenario())
