"""Any number of images, sentences and labels as unit vectors, a batch in memory at a time."""

from collections.abc import Iterable, Sequence
from itertools import islice

import torch
from PIL import Image
from torch import Tensor

from model.clip.encode import Clip
from model.clip.scoring import mean_direction

BATCH = 128


def embed_pictures(clip: Clip, images: Iterable[Image.Image]) -> Tensor:
    """RGB images as unit vectors. shape = [images, projection]"""
    pixels = map(clip.preprocess, images)
    batches = iter(lambda: list(islice(pixels, BATCH)), [])
    return torch.cat([clip.embed_images(torch.stack(batch)) for batch in batches])


def embed_sentences(clip: Clip, texts: Sequence[str]) -> Tensor:
    """Texts as unit vectors. shape = [texts, projection]"""
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    return torch.stack([text.vector for batch in batches for text in clip.embed_texts(batch)])


def embed_labels(clip: Clip, prompts: Sequence[Sequence[str]]) -> Tensor:
    """One unit vector per label, the mean of its sentences. shape = [labels, projection]"""
    flat = iter(embed_sentences(clip, [sentence for sentences in prompts for sentence in sentences]))
    return mean_direction([[next(flat) for _ in sentences] for sentences in prompts])
