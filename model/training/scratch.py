"""A CLIP to learn from scratch, small enough for one CPU core: 2.4 million parameters, 5 MB in half precision, with a
byte-level BPE vocabulary that is learnt from the data's own sentences.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import torch
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from contract.checkpoints import CheckpointMetadata
from model.clip.checkpoint import Checkpoint
from model.world.drawing import IMAGE_SIZE

CONTEXT_LENGTH = 48
PROJECTION = 128
POSITION_STD = 0.5
"""CLIP's 0.02 is 4 % of what a patch of 768 normalised values contributes: where things are would drown for long."""
INITIAL_SCALE = 2.6592  # ln(1 / 0.07), as in CLIP
MAX_MERGES = 2000
START = "<|startoftext|>"
END = "<|endoftext|>"
WORD_END = "</w>"


def small_checkpoint(sentences: Iterable[str], seed: int) -> Checkpoint:
    """Random weights, and a vocabulary for these sentences; no text is ever unknown to it."""
    tokenizer = learn_tokenizer(sentences, MAX_MERGES, CONTEXT_LENGTH)
    metadata = CheckpointMetadata(version="scratch")
    return Checkpoint(small_clip(tokenizer, seed), tokenizer, small_processor(), metadata)


def small_clip(tokenizer: CLIPTokenizer, seed: int) -> CLIPModel:
    """Random weights: vision 192 wide, 4 layers, 16 px patches of a 64 px image; text 128 wide, 2 layers."""
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=512, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=CONTEXT_LENGTH, projection_dim=PROJECTION, **tokens,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=192, intermediate_size=768, num_hidden_layers=4, num_attention_heads=6,
        image_size=IMAGE_SIZE, patch_size=16, projection_dim=PROJECTION,
    )  # fmt: skip
    torch.manual_seed(seed)
    towers = {"text_config": text.to_dict(), "vision_config": vision.to_dict()}
    model = CLIPModel(CLIPConfig(**towers, projection_dim=PROJECTION, logit_scale_init_value=INITIAL_SCALE))
    torch.nn.init.normal_(model.vision_model.embeddings.position_embedding.weight, std=POSITION_STD)
    return model


def small_processor() -> CLIPImageProcessorPil:
    """CLIP's own preprocessing at the small model's image size."""
    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIZE}, crop_size=side)


def learn_tokenizer(sentences: Iterable[str], max_merges: int, context_length: int) -> CLIPTokenizer:
    """A `CLIPTokenizer` whose merges are the most frequent pairs of these sentences (Sennrich et al. 2016).

    The special tokens come last, as in CLIP: transformers pools text differently when the end token's id is 2.
    """
    base = sorted(pre_tokenizers.ByteLevel.alphabet())
    splitter = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    words = (word for sentence in sentences for word, _ in splitter.pre_tokenize_str(sentence.lower()))
    merges = _merges(Counter(" ".join(word) + WORD_END for word in words), max_merges)
    tokens = [*base, *(token + WORD_END for token in base), *(first + second for first, second in merges), START, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context_length)


def _merges(words: Counter[str], limit: int) -> list[tuple[str, str]]:
    """`words` are symbols with a space between each two, the last symbol marked, with how often each occurs."""
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word.split(" ")):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        apart = re.compile(rf"(?<!\S){re.escape(' '.join(best))}(?!\S)")
        joined = "".join(best).replace("\\", r"\\")
        words = Counter({apart.sub(joined, word): count for word, count in words.items()})
    return merges
