"""The checkpoint in the repository: small, honest, and as good as its card says."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPModel, CLIPProcessor

from model.checkpoint import load_checkpoint, load_metadata
from model.evaluation.answers import result
from model.evaluation.world import World
from model.inference import Clip
from model.scoring import mean_direction
from model.training.card import CARD, card

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "model/shipped"
SAMPLE = ROOT / "local/sample.png"
MAX_WEIGHTS_BYTES = 8_000_000
SCENES = 600


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip(load_checkpoint(SHIPPED))


def test_it_is_small_enough_to_live_in_a_repository() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < MAX_WEIGHTS_BYTES


def test_its_card_is_what_its_figures_say() -> None:
    """After a change of either: `write_card(Path("model/shipped"), load_metadata(Path("model/shipped")))`."""
    assert (SHIPPED / CARD).read_text() == card(load_metadata(SHIPPED))


def test_it_loads_in_stock_transformers_and_gives_the_scores_of_ours(clip: Clip) -> None:
    model = CLIPModel.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    processor, image = CLIPProcessor.from_pretrained(SHIPPED), Image.open(SAMPLE).convert("RGB")
    texts = ["a red circle", "a fish"]
    inputs = processor(text=texts, images=image, return_tensors="pt", padding=True, truncation=True)
    with torch.no_grad():
        logits = model(**inputs).logits_per_image[0]
    image_embeds = clip.embed_images(clip.preprocess(image)[None])[0]
    ours = torch.stack([clip.logit_scale * image_embeds @ text.vector for text in clip.embed_texts(texts)])
    assert torch.allclose(logits, ours, atol=1e-3)


def test_its_end_token_is_found_by_stock_pooling() -> None:
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    config = CLIPModel.from_pretrained(SHIPPED).config.text_config
    assert tokenizer.eos_token_id == config.eos_token_id != 2


NOT_LEARNT = "relation"
"""Why: benchmarks/relations.md."""


def test_it_is_as_good_as_it_claims_and_well_above_chance_on_every_task(clip: Clip) -> None:
    claimed = load_checkpoint(SHIPPED).metadata.metrics["world"]
    assert isinstance(claimed, dict) and clip.calibration.temperature is not None
    answers = World(clip, SCENES).every_answer()
    assert claimed.keys() == answers.keys()
    for name, said in answers.items():
        figures, found = claimed[name], result(said, clip.logit_scale, clip.calibration.temperature)
        assert isinstance(figures, dict)
        assert found.accuracy == pytest.approx(figures["accuracy"], abs=0.1), name
        assert name == NOT_LEARNT or found.accuracy > found.chance + 0.4, name


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (["fish", "car", "house", "tree", "cup"], "fish"),
        (["red", "orange", "green", "blue", "purple"], "orange"),
    ],
)
def test_it_knows_what_is_on_the_sample_image(clip: Clip, labels: list[str], answer: str) -> None:
    image_embeds = clip.embed_images(clip.preprocess(Image.open(SAMPLE).convert("RGB"))[None])
    prompts = clip.embed_texts([f"This is a photo of {label}." for label in labels])
    scores = (clip.logit_scale * image_embeds @ mean_direction([[text.vector] for text in prompts]).T).softmax(dim=1)[0]
    assert labels[int(scores.argmax())] == answer and float(scores.max()) > 0.8
