"""The checkpoint in the repository: small, honest, and as good as its card says."""

import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPModel, CLIPProcessor

from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import load_metadata
from model.clip.scoring import mean_direction
from model.evaluation.answers import result
from model.evaluation.world import World
from model.training.card import CARD, card
from model.training.start import UNRELATED_TO_TRAINING
from model.world.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "model/shipped"
SAMPLE = ROOT / "local/sample.png"
MAX_WEIGHTS_BYTES = 8_000_000
SCENES = 600
WORST_CALIBRATION_ERROR = 0.08
MEAN_CALIBRATION_ERROR = 0.05


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


HALF_LEARNT = "relation"
"""What of it, and why no more: benchmarks/relations.md."""


@pytest.mark.slow
def test_it_is_as_good_as_it_claims_and_well_above_chance_on_every_task(clip: Clip) -> None:
    claimed = load_checkpoint(SHIPPED).metadata.metrics["world"]
    assert isinstance(claimed, dict) and clip.calibration.temperature is not None
    answers = World(clip, SCENES).every_answer()
    assert claimed.keys() == answers.keys()
    for name, said in answers.items():
        figures, found = claimed[name], result(said, clip.logit_scale, clip.calibration.temperature)
        assert isinstance(figures, dict)
        assert found.accuracy == pytest.approx(figures["accuracy"], abs=0.1), name
        assert name == HALF_LEARNT or found.accuracy > found.chance + 0.4, name


def test_its_scores_are_as_sure_as_they_are_right_at_every_task() -> None:
    claimed: dict[str, Any] = load_metadata(SHIPPED).metrics["world"]  # type: ignore[assignment]
    errors = {name: figures["calibration_error"] for name, figures in claimed.items()}
    assert max(errors.values()) <= WORST_CALIBRATION_ERROR and fmean(errors.values()) <= MEAN_CALIBRATION_ERROR, errors


def test_of_two_objects_it_tells_the_axis_and_doubts_the_order(clip: Clip) -> None:
    task = next(task for task in TASKS if task.name == HALF_LEARNT)
    said = World(clip, SCENES).answers(task)
    across = torch.tensor(["left of" in label for label in task.labels])
    assert float((across[said.cosines.argmax(dim=1)] == across[said.targets]).float().mean()) > 0.9
    assert clip.calibration.temperature is not None
    scores = (said.cosines * clip.logit_scale / clip.calibration.temperature).softmax(dim=1)
    assert float(scores.max(dim=1).values.mean()) < 0.65


def test_its_recipe_is_the_one_of_make_train_demo() -> None:
    commands = re.findall(r"python -m model\.training (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    made = [dict(argument.split("=") for argument in command.split()) for command in commands]
    recipes = Metrics.of(load_metadata(SHIPPED).metrics).recipes
    assert list(map(_weights_recipe, recipes)) == list(map(_weights_recipe, made))


def _weights_recipe(run: dict[str, Any]) -> dict[str, Any]:
    """What decides the weights; the precision is that of the machine where it was not given."""
    chosen = Hyperparameters.from_strings({name: str(value) for name, value in run.items()})
    return chosen.model_dump(exclude={*UNRELATED_TO_TRAINING, "precision"})


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
