"""Labels, sentences and images as vectors, in any number."""

from pathlib import Path

import torch
from torch.nn.functional import normalize

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.embed import embed_labels


def test_a_labels_vector_is_the_mean_of_its_sentences(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    vector = embed_labels(clip, [["red", "a red one"], ["blue"]])[0]
    mean = torch.stack([text.vector for text in clip.embed_texts(["red", "a red one"])]).mean(dim=0)
    assert torch.allclose(vector, normalize(mean, dim=-1), atol=1e-6)
