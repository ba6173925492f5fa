"""The encoders give what transformers' own CLIPModel gives, whatever else is in the batch."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import CLIPProcessor, pipeline

from contract.questions import Question
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.scoring import label_embeds, prompts_of, rank, score

TEXTS = ["a cat", "a dog on a red sofa", "rain", "This is a photo of a bicycle."]


@pytest.fixture(scope="module")
def clip(checkpoint_dir: Path) -> Clip:
    return Clip(load_checkpoint(checkpoint_dir))


def noise(width_px: int, height_px: int, seed: int = 0) -> Image.Image:
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width_px, height_px), Image.Resampling.BICUBIC)


PICTURES = [noise(50, 40), noise(32, 32, 1), noise(20, 90, 2), noise(640, 480, 3), noise(7, 5, 4)]


def embed(clip: Clip, images: list[Image.Image]) -> torch.Tensor:
    return clip.embed_images(torch.stack([clip.preprocess(image) for image in images]))


def test_images_and_texts_become_unit_vectors_of_one_width(clip: Clip) -> None:
    images = embed(clip, PICTURES)
    texts = torch.stack([embedding.vector for embedding in clip.embed_texts(TEXTS)])
    assert images.shape == (len(PICTURES), 16)
    assert texts.shape == (len(TEXTS), 16)
    for vectors in (images, texts):
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(len(vectors)), atol=1e-6)


def test_a_batch_gives_what_one_by_one_gives(clip: Clip) -> None:
    assert torch.allclose(embed(clip, PICTURES), torch.cat([embed(clip, [each]) for each in PICTURES]), atol=1e-6)
    alone = [clip.embed_texts([text])[0].vector for text in TEXTS]
    together = [embedding.vector for embedding in clip.embed_texts(TEXTS)]
    assert torch.allclose(torch.stack(together), torch.stack(alone), atol=1e-6)


def test_many_texts_of_many_lengths_keep_their_order(clip: Clip) -> None:
    texts = [letter * (1 + number % 40) for number, letter in enumerate("abcdefghij" * 8)]
    vectors = torch.stack([embedding.vector for embedding in clip.embed_texts(texts)])
    for number in (0, 17, len(texts) - 1):
        assert torch.allclose(vectors[number], clip.embed_texts([texts[number]])[0].vector, atol=1e-6)


def test_scores_equal_transformers_own_model(clip: Clip, checkpoint_dir: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_dir)
    processor = CLIPProcessor(checkpoint.processor, checkpoint.tokenizer)
    inputs = processor(text=TEXTS, images=PICTURES, return_tensors="pt", padding=True)
    with torch.inference_mode():
        expected = checkpoint.model(**inputs).logits_per_image  # [B, L]
    texts = torch.stack([embedding.vector for embedding in clip.embed_texts(TEXTS)])
    logits = clip.logit_scale * embed(clip, PICTURES) @ texts.T
    assert torch.allclose(logits, expected, atol=1e-4)
    assert torch.allclose(logits.softmax(-1), expected.softmax(-1), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_answers_equal_transformers_own_pipeline(clip: Clip, checkpoint_dir: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_dir)
    classify = pipeline(
        "zero-shot-image-classification",
        model=checkpoint.model,
        tokenizer=checkpoint.tokenizer,
        image_processor=checkpoint.processor,
    )
    question = Question(candidate_labels="cat, dog, bicycle, rain")
    embeds = clip.embed_question(question)
    for image in PICTURES:
        expected = classify(image, candidate_labels=[label.label for label in question.candidate_labels])
        answers = rank(question, score(embeds, embed(clip, [image]), clip.logit_scale, clip.calibration)[0])
        assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
        assert [a["score"] for a in answers] == pytest.approx([a["score"] for a in expected], abs=1e-5)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "CMYK"])
def test_a_files_pixels_equal_what_the_processor_makes_of_the_picture(clip: Clip, mode: str) -> None:
    picture = noise(50, 40).convert(mode)
    if "A" in mode:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    assert torch.equal(clip.preprocess(clip.open(buffer.getvalue())[0]), clip.preprocess(picture))


def test_a_questions_labels_are_embedded_as_its_sentences_are(clip: Clip) -> None:
    question = Question(candidate_labels="cat, dog", hypothesis_template=["a {}", "one {}"], multi_label=True)
    prompts = list(prompts_of(question))
    vectors = {prompt: clip.embed_texts([prompt])[0].vector for prompt in prompts}
    found, expected = clip.embed_question(question), label_embeds(question, vectors)
    assert torch.allclose(found.labels, expected.labels, atol=1e-6)
    assert found.neutral is not None and torch.allclose(found.neutral, expected.neutral, atol=1e-6)


def test_layers_of_the_image_tower_are_replaced_and_those_of_the_text_tower_are_not(checkpoint_dir: Path) -> None:
    class Twice(nn.Module):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return 2 * self.layer(inputs)

    clip = Clip(load_checkpoint(checkpoint_dir))
    images, texts = embed(clip, PICTURES), clip.embed_texts(TEXTS)
    new = clip.replace_image_layers(nn.Linear, Twice)
    assert new == [layer for layer in clip.model.modules() if isinstance(layer, Twice)] != []
    assert not torch.allclose(embed(clip, PICTURES), images, atol=1e-3)
    for before, after in zip(texts, clip.embed_texts(TEXTS), strict=True):
        assert torch.equal(before.vector, after.vector)


def test_text_beyond_the_context_is_cut_off_and_said_so(clip: Clip) -> None:
    words = clip.context_length - 2  # the tokens of start and end take two places
    short, full, cut = clip.embed_texts(["x", "x " * words, "x " * words + "y"])
    assert (short.truncated, full.truncated, cut.truncated) == (False, False, True)
    assert torch.allclose(full.vector, cut.vector, atol=1e-6)


def test_the_version_and_calibration_are_the_checkpoints(calibrated_checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(calibrated_checkpoint_dir))
    assert clip.version == "tiny-2"
    assert clip.calibration.temperature == 2.0
    assert clip.context_length == 48
