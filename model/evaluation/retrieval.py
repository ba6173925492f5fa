"""Finding the sentence of an image, and the image of a sentence.

R@k as in Deep visual-semantic alignments, Karpathy and Fei-Fei 2015, but that a sentence said of several images is one
sentence, and finding any of its images is right.
"""

import torch
from torch import Tensor

KS = (1, 5)


def recall_at(cosines: Tensor, truth: Tensor, k: int) -> float:
    """Share of the rows for which a true column is among the k best; both shapes = [asked, candidates]. Columns that
    score the same count half way between the luckiest and the unluckiest order.
    """
    best = cosines.masked_fill(~truth, -torch.inf).max(dim=1, keepdim=True).values
    above = ((cosines > best) & ~truth).sum(dim=1)
    level = ((cosines == best) & ~truth).sum(dim=1)
    return float(((above + (above + level)) / 2 < k).float().mean())


def retrieval(cosines: Tensor, truth: Tensor) -> dict[str, float]:
    """R@1 and R@5 in both directions; both shapes = [images, texts]"""
    directions = {"image_to_text": (cosines, truth), "text_to_image": (cosines.T, truth.T)}
    return {
        f"{name}_recall_at_{k}": round(recall_at(scores, true, k), 4)
        for name, (scores, true) in directions.items()
        for k in KS
    }
