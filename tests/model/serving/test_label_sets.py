"""A label set is gathered once, found again by its content alone, and forgotten when there are too many."""

import asyncio
from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

from contract.questions import Label, Question
from model.clip.encode import TextEmbedding
from model.clip.scoring import label_embeds, prompts_of
from model.serving.labels import PROMPTS_AT_ONCE, LabelCache, LabelSets


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
