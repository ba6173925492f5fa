"""A SigLIP behind the same contract, through the server: its answers are transformers' own."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import SiglipProcessor

from contract.containers import ServeSettings
from model.clip.checkpoint import load_checkpoint
from tests.model.serving.http_client import Client, as_base64, classify_body, running
from tests.model.serving.test_exactness import FILES, LABELS

pytestmark = pytest.mark.slow

TEMPLATE = "This is a Photo of {}."


@pytest.fixture(scope="module")
def served(siglip_dir: Path) -> Iterator[Client]:
    settings = ServeSettings(
        base_model_dir=siglip_dir,
        model_dir=Path("/nowhere"),
        exact=True,
        model_workers=1,
        decoders=1,
        queue_budget_ms=60_000,
    )
    with running(settings) as client:
        yield client


def transformers_own(directory: Path, image: bytes, texts: list[str]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Its logits [texts], and its unit vectors of the image [1, D] and the texts [T, D]."""
    checkpoint = load_checkpoint(directory)
    processor = SiglipProcessor(checkpoint.processor, checkpoint.tokenizer)
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    padded = {"padding": "max_length", "max_length": 64, "truncation": True}
    with torch.inference_mode():
        out = checkpoint.model(**processor(text=texts, images=picture, return_tensors="pt", **padded))
    return out.logits_per_image[0], {"images": out.image_embeds, "texts": out.text_embeds}


@pytest.mark.parametrize("kind", ["large photo", "greyscale"])
@pytest.mark.parametrize("multi_label", [True, False], ids=["sigmoid", "softmax"])
def test_scores_are_the_models_own_sigmoid_or_softmax(
    served: Client, siglip_dir: Path, kind: str, multi_label: bool
) -> None:
    image = FILES[kind]()
    logits, _ = transformers_own(siglip_dir, image, [TEMPLATE.format(label) for label in LABELS])
    expected = logits.sigmoid() if multi_label else logits.softmax(dim=0)
    asked = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE, "multi_label": multi_label}
    answer = served.post(classify_body(as_base64(image), **asked))
    assert answer.status == 200, answer.body
    got = {each["label"]: each["score"] for each in answer.json}
    assert [got[label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-4)
    assert expected.max() - expected.min() > 0.02


def test_embeddings_are_the_models_own_unit_vectors(served: Client, siglip_dir: Path) -> None:
    image, texts = FILES["photo"](), ["A cat", "rain on a window"]
    _, vectors = transformers_own(siglip_dir, image, texts)
    body = {"operation": "embed", "inputs": {"images": [as_base64(image)], "texts": texts}}
    answer = served.post(json.dumps(body).encode()).json
    for kind in ("images", "texts"):
        assert torch.allclose(torch.tensor(answer[kind]), vectors[kind], atol=1e-4)


def test_a_text_beyond_its_64_places_is_cut_off_and_said_so(served: Client) -> None:
    answer = served.post(classify_body(as_base64(FILES["photo"]()), candidate_labels=["cat", "dog " * 40]))
    assert (answer.attributes.truncated_prompts, answer.attributes.context_tokens) == (1, 64)
