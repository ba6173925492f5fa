"""A small byte-level BPE vocabulary for CLIP's tokenizer, learnt from sentences; no text is ever unknown to it."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

START = "<|startoftext|>"
END = "<|endoftext|>"
WORD_END = "</w>"


def learn_tokenizer(sentences: Iterable[str], max_merges: int, context_length: int) -> CLIPTokenizer:
    """A `CLIPTokenizer` whose merges are the most frequent pairs of these sentences (Sennrich et al. 2016).

    The special tokens come last, as in CLIP: transformers pools text differently when the end token's id is 2.
    """
    base = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = _words(sentences)
    merges = _merges(words, max_merges)
    tokens = [*base, *(token + WORD_END for token in base), *(first + second for first, second in merges), START, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context_length)


def _words(sentences: Iterable[str]) -> Counter[tuple[str, ...]]:
    """Words as symbol tuples, the last symbol marked, with how often each occurs."""
    splitter = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    counts: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        for word, _ in splitter.pre_tokenize_str(sentence.lower()):
            counts[(*word[:-1], word[-1] + WORD_END)] += 1
    return counts


def _merges(words: Counter[tuple[str, ...]], limit: int) -> list[tuple[str, str]]:
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            merged[_join(word, best)] += count
        words = merged
    return merges


def _join(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return tuple(joined)
