"""A SigLIP is fine-tuned by the loss it was made with, and what is left is a SigLIP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, SiglipImageProcessorPil, SiglipModel

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import load_metadata
from model.training.distributed import Ranks
from model.training.job import main
from model.training.loop import Loop
from model.training.loss import sigmoid_loss
from model.training.optimizer import layers_above
from model.training.recipe import DISTILLATION_WEIGHT
from tests.model.loops import ALONE, COLOURS, QUICK, build_loop, exported, lay_out_job

pytestmark = pytest.mark.slow

RATE = {"learning_rate": 0.003}


@contextmanager
def job(base_dir: Path, siglip_dir: Path) -> Iterator[Path]:
    lay_out_job(base_dir, QUICK)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SAGEMAKER_BASE_DIR", str(base_dir))
        environment.setenv("BASE_MODEL_DIR", str(siglip_dir))
        yield base_dir


@pytest.fixture
def loop(tmp_path: Path, siglip_dir: Path) -> Iterator[Callable[..., Loop]]:
    """Loops of the job that teaches four colours to the tiny SigLIP."""
    loops: list[Loop] = []

    def build(ranks: Ranks = ALONE, **values: object) -> Loop:
        loops.append(build_loop(ranks, **values))
        return loops[-1]

    with job(tmp_path, siglip_dir):
        yield build
    for each in loops:
        each.prefetcher.close()


def own_scores(directory: Path) -> torch.Tensor:
    """By stock transformers: the probability of each colour's name on each colour. shape = [colours, colours]"""
    model, tokenizer = SiglipModel.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    processor = SiglipImageProcessorPil.from_pretrained(directory)
    pixels = processor(images=[Image.new("RGB", (50, 50), c) for c in COLOURS.values()], return_tensors="pt")
    texts = tokenizer(list(COLOURS), padding="max_length", max_length=64, return_tensors="pt")
    with torch.no_grad():
        scores: torch.Tensor = model(**texts, **pixels).logits_per_image.sigmoid()
    return scores


def test_it_learns_by_the_sigmoid_of_its_own_scale_and_bias(loop: Callable[..., Loop]) -> None:
    tuned = loop(distillation_weight=0)
    assert (tuned.recipe.asked.loss, tuned.recipe.loss) == (None, "sigmoid")
    assert not list(tuned.objective.parameters())
    batch, pixels = tuned.prefetcher.read(0, tuned.recipe.global_batch)
    loss = tuned.gradients(batch, pixels, bf16=False)
    with torch.no_grad():
        images = tuned.model.get_image_features(pixels).pooler_output
        tokens = tuned.checkpoint.tokenizer(list(batch.texts), padding="max_length", max_length=64, return_tensors="pt")
        texts = tuned.model.get_text_features(**tokens).pooler_output
        cosines = torch.nn.functional.cosine_similarity(images[:, None], texts[None], dim=-1)
        logits = tuned.model.logit_scale.exp() * cosines + tuned.model.logit_bias
    assert float(loss) == pytest.approx(float(sigmoid_loss(logits, batch.positives)), rel=1e-4)
    for parameter in (tuned.model.logit_scale, tuned.model.logit_bias):
        assert parameter.grad is not None and float(parameter.grad.abs()) > 0
    tuned.take_step()
    assert tuned.averaged.logit_bias != -1.5


def test_what_it_leaves_loads_as_a_siglip_whose_own_sigmoid_says_yes_and_no(
    tmp_path: Path, loop: Callable[..., Loop]
) -> None:
    tuned = loop(steps=40, distillation_weight=0, **RATE)
    losses = [tuned.take_step() for _ in range(40)]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    exported(tuned)
    scores = own_scores(tmp_path / "model")
    right = scores.diagonal()
    wrong = scores[~torch.eye(4, dtype=torch.bool)]
    assert right.mean() > wrong.mean() + 0.3
    clip = Clip(load_checkpoint(tmp_path / "model"))
    pixels = torch.stack([clip.preprocess(Image.new("RGB", (50, 50), colour)) for colour in COLOURS.values()])
    vectors = torch.stack([text.vector for text in clip.embed_texts(list(COLOURS))])
    curve = clip.calibration.multi_label
    assert curve is not None  # its own: a run that was stopped fits none
    assert torch.allclose((curve.a * clip.embed_images(pixels) @ vectors.T + curve.b).sigmoid(), scores, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "fixed", "learnt"),
    [
        ({"lock_image": True}, ("vision_model.",), ("text_model.head.", "logit_bias")),
        (
            {"lock_image": True, "unlocked_blocks": 1},
            ("vision_model.embeddings.", "vision_model.encoder.layers.0."),
            ("vision_model.encoder.layers.1.", "vision_model.head.probe", "vision_model.post_layernorm."),
        ),
        (
            {"lora_rank": 2},
            ("vision_model.embeddings.", "vision_model.head.", "text_model.head."),
            ("vision_model.encoder.layers.0.self_attn.q_proj.weight", "logit_scale", "logit_bias"),
        ),
        pytest.param({"chunk_size": 3}, (), ("vision_model.head.", "text_model.embeddings."), marks=pytest.mark.slow),
    ],
)
def test_what_is_locked_stays_to_the_bit_and_the_rest_learns(
    loop: Callable[..., Loop], values: dict[str, object], fixed: tuple[str, ...], learnt: tuple[str, ...]
) -> None:
    tuned = loop(**values)
    before = {name: weight.clone() for name, weight in tuned.averaged.named_parameters()}
    for _ in range(2):
        tuned.take_step()
    names = {name for name, weight in tuned.averaged.named_parameters() if not torch.equal(weight, before[name])}
    assert not [name for name in names if fixed and name.startswith(fixed)]
    assert all(any(name.startswith(part) for name in names) for part in learnt)


def test_its_layers_are_counted_from_the_head(loop: Callable[..., Loop]) -> None:
    model = loop().model
    names = ("vision_model.head.probe", "vision_model.encoder.layers.0.mlp.fc1.weight", "logit_bias")
    assert [layers_above(name, model) for name in names] == [0, 2, 0]
    assert layers_above("vision_model.embeddings.patch_embedding.weight", model) == 3


def test_a_run_is_resumed_to_the_very_same_weights(loop: Callable[..., Loop]) -> None:
    whole, first = loop(), loop()
    for _ in range(4):
        whole.take_step()
    for _ in range(2):
        first.take_step()
    second = loop()
    second.resume((2, first.state()))
    for _ in range(2):
        second.take_step()
    states = whole.averaged.state_dict(), second.averaged.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_whole_job_mixes_measures_and_calibrates_it(tmp_path: Path, siglip_dir: Path) -> None:
    with job(tmp_path, siglip_dir):
        assert main(["log_every_steps=12"]) == 0
    directory = tmp_path / "model"
    metadata = load_metadata(directory)
    assert metadata.parent == "tiny-siglip" and metadata.calibration.multi_label is not None
    assert metadata.metrics["interpolation"] and metadata.metrics["distillation_weight"] == DISTILLATION_WEIGHT
    assert json.loads((directory / "config.json").read_text())["architectures"] == ["SiglipModel"]
    assert own_scores(directory).isfinite().all()
