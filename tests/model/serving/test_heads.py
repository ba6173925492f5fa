"""Heads: read and written without losing a bit, kept while they are asked for, and never used for something else."""

import struct
from typing import Any

import pytest
import safetensors.torch
import torch
from torch.nn.functional import normalize

from contract.problems import BadRequest, UnknownHeads
from contract.teaching import head_digest
from model.clip.head import Head, fit_head
from model.clip.scoring import LabelEmbeds
from model.serving.heads import Heads, ServedHead, numbers_of, tensor_of

WIDTH = 8


def vectors(count: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


def served(labels: int = 3, taught: int = 3, version: str = "tiny-1", question: str = "a" * 64) -> ServedHead:
    """Of four images for each of the taught labels."""
    images, targets = vectors(4 * taught, 1), torch.arange(taught).repeat_interleave(4)
    return ServedHead(fit_head(images, targets, vectors(labels), 10.0).head, version, question)


@pytest.mark.parametrize("taught", [3, 2])
def test_a_head_answers_the_same_to_the_last_bit_when_it_was_written_and_read(taught: int) -> None:
    """Also one for labels of which some have no images."""
    head = served(taught=taught)
    read = ServedHead.read(head.write())
    assert torch.equal(read.scores(vectors(20, 2)), head.scores(vectors(20, 2)))
    assert read.write() == head.write()
    assert torch.equal(read.scores(vectors(20, 2), unknown=True), head.scores(vectors(20, 2), unknown=True))


def test_its_file_is_what_the_library_reads() -> None:
    head = served(taught=2)
    assert head.head.metric is not None
    found = safetensors.torch.load(head.write())
    assert torch.equal(found["weights"], head.head.weights) and torch.equal(found["metric"], head.head.metric)
    assert found["text_only"].tolist() == [0, 0, 1]


def test_scores_are_a_softmax_of_what_the_head_says() -> None:
    head = served(taught=2)
    scores = head.scores(vectors(5, 3))
    assert torch.equal(scores, head.head.logits(vectors(5, 3)).softmax(dim=1))
    assert scores.sum(dim=1).tolist() == pytest.approx([1] * 5)


def test_where_it_is_asked_how_likely_it_is_that_no_label_fits_the_others_share_the_rest() -> None:
    images, head = vectors(5, 3), served(taught=3)
    *shares, unknown = head.scores(images, unknown=True).T
    assert torch.equal(unknown, head.head.unknown(images, head.head.logits(images))) and unknown.min() > 0
    assert torch.allclose(torch.stack(shares, dim=1), head.scores(images) * (1 - unknown)[:, None])


def test_what_is_no_head_is_refused() -> None:
    with pytest.raises(BadRequest, match="no safetensors file"):
        ServedHead.read(b"none")


@pytest.mark.parametrize(
    "another",
    [
        {"version": "tiny-2"},
        {"question": "b" * 64},
        {"labels": 4},
    ],
)
def test_a_head_is_never_used_for_something_else(another: dict[str, Any]) -> None:
    embeds = LabelEmbeds(vectors(3), None)
    assert served().belongs_to("tiny-1", "a" * 64, embeds)
    assert not served(**another).belongs_to("tiny-1", "a" * 64, embeds)
    assert not served().belongs_to("tiny-1", "a" * 64, LabelEmbeds(torch.zeros(3, WIDTH + 1), None))


def linear(size: int) -> ServedHead:
    """Of one label: a row of numbers, a bias and a sign."""
    head = Head(torch.zeros(1, size), torch.zeros(1), torch.zeros(1, dtype=torch.bool))
    return ServedHead(head, "tiny-1", "a" * 64)


def test_heads_that_were_asked_for_longest_ago_make_room() -> None:
    one = linear(100)
    heads = Heads(2 * one.size_bytes)
    for name in ("a", "b"):
        heads.add(name, one)
    heads.find({"": "a"}, {})
    heads.add("c", one)
    assert [name in heads for name in "abc"] == [True, False, True]
    assert (len(heads), heads.bytes) == (2, 2 * one.size_bytes)


def test_one_head_larger_than_the_cache_answers_all_the_same() -> None:
    heads = Heads(10)
    assert heads.find({"": "a"}, {"a": linear(100)}).keys() == {""}
    assert "a" in heads
    both = heads.find({"one": "b", "other": "c"}, {"b": linear(100), "c": linear(50)})
    assert both["one"].head.weights.shape == (1, 100) and both["other"].head.weights.shape == (1, 50)
    assert len(heads) == 1


def test_what_is_kept_needs_not_be_sent_again_and_what_is_not_is_told() -> None:
    heads = Heads(10_000)
    with pytest.raises(UnknownHeads) as told:
        heads.find({"one": "a", "other": "b", "third": "c"}, {"b": linear(3)})
    assert told.value.heads == ("a", "c")
    found = heads.find({"one": "a", "other": "b"}, {"a": linear(2)})
    assert found["one"].head.weights.shape == (1, 2) and found["other"].head.weights.shape == (1, 3)
    assert heads.find({"again": "a", "and again": "a"}, {}).keys() == {"again", "and again"}
    assert (heads.hits, heads.misses) == (2, 4)


def test_a_head_that_comes_twice_counts_once() -> None:
    heads = Heads(10_000)
    heads.add("a", linear(3))
    heads.add("a", linear(3))
    assert heads.bytes == linear(3).size_bytes


def test_numbers_survive_as_bytes() -> None:
    numbers = torch.tensor([1.5, -2.0, 1e-38])
    assert numbers_of(numbers) == struct.pack("<3f", *numbers.tolist())
    assert torch.equal(tensor_of(numbers_of(numbers)), numbers)
    assert head_digest(served().write()) == head_digest(served().write())
