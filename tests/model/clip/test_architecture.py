"""A SigLIP is read, scored and taken apart as transformers does it; where it differs from CLIP is said once."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import SiglipProcessor

from contract.checkpoints import Calibration, MultiLabelCalibration
from contract.questions import Question
from model.clip.architecture import (
    TextReader,
    clip_logit_scale,
    image_background,
    image_tower,
    logit_bias,
    logit_parameters,
    logit_scale,
    natural_loss,
    replace_image_layers,
    text_tower,
    tower_with,
    with_own_sigmoid,
)
from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.clip.encode import Clip
from model.clip.scoring import score
from model.serving.load import build_towers
from model.serving.towers import Towers
from model.serving.towers.int8 import Quantization
from model.serving.towers.openvino import OpenVinoTowers
from model.serving.towers.torch import TorchTowers
from tests.model.clip.test_encode import PICTURES
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.siglips import gemma_tokenizer, tiny_siglip, unigram_tokenizer, write_first_siglip, write_siglip

TEXTS = ["A cat.", "a photo of a red bicycle", "rain " * 40]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, siglip_dir: Path) -> dict[str, Path]:
    found = {name: tmp_path_factory.mktemp(name) for name in ("masked", "first")}
    write_siglip(found["masked"], gemma_tokenizer(masks=True))
    write_first_siglip(found["first"])
    return {"second": siglip_dir, **found}


TOWERS: dict[str, Callable[[Clip], Towers]] = {
    "torch": lambda clip: TorchTowers(clip, 1),
    "OpenVINO": lambda clip: build_towers(clip, "fp32", 1),
}


SLOW = [pytest.param(kind, "OpenVINO", marks=pytest.mark.slow) for kind in ("masked", "first")]


@pytest.mark.parametrize(
    ("kind", "towers"), [("second", "torch"), ("masked", "torch"), ("first", "torch"), ("second", "OpenVINO"), *SLOW]
)
def test_logits_of_either_tower_equal_transformers_own(folders: dict[str, Path], kind: str, towers: str) -> None:
    checkpoint = load_checkpoint(folders[kind])
    processor = SiglipProcessor(checkpoint.processor, checkpoint.tokenizer)
    padded = {"padding": "max_length", "max_length": 64, "truncation": True}
    inputs = processor(text=TEXTS, images=PICTURES, return_tensors="pt", **padded)
    assert inputs["input_ids"].shape == (len(TEXTS), 64) and ("attention_mask" in inputs) == (kind == "masked")
    with torch.inference_mode():
        expected = checkpoint.model(**inputs).logits_per_image  # [B, L]
    assert expected.std() > 0.3  # or any two would be equal
    clip = Clip(load_checkpoint(folders[kind]))
    pixels = torch.stack([clip.preprocess(picture) for picture in PICTURES])
    bias = clip.calibration.multi_label.b if clip.calibration.multi_label else math.nan
    made = TOWERS[towers](clip)
    images, texts = made.workers[0](pixels), made.embed_texts(TEXTS)
    vectors = torch.stack([text.vector for text in texts])
    assert torch.allclose(clip.logit_scale * images @ vectors.T + bias, expected, atol=1e-4)
    assert torch.allclose(images.norm(dim=1), torch.ones(len(images)), atol=1e-6)
    assert [text.truncated for text in texts] == [False, False, True]


def test_a_text_takes_every_place_whatever_its_neighbours_are(folders: dict[str, Path]) -> None:
    clip = Clip(load_checkpoint(folders["second"]))
    assert clip.read_texts(["a"])["input_ids"].shape == (1, 64) and clip.context_length == 64
    alone, together = clip.embed_texts(["a cat"])[0], clip.embed_texts(["a cat", "x" * 50])[0]
    assert torch.allclose(alone.vector, together.vector, atol=1e-6)


def test_clip_is_read_as_long_as_its_longest_text_is() -> None:
    tokenizer = tiny_tokenizer()
    tokens = TextReader.of(tiny_model(tokenizer), tokenizer)(["ab", "a"])
    assert list(tokens) == ["input_ids", "attention_mask"] and tokens["input_ids"].shape == (2, 4)


def test_lone_labels_get_the_models_own_sigmoid_and_one_of_several_the_softmax(folders: dict[str, Path]) -> None:
    checkpoint = load_checkpoint(folders["second"])
    clip = Clip(checkpoint)
    embeds = clip.embed_images(torch.stack([clip.preprocess(picture) for picture in PICTURES]))
    sentences = ["a cat", "a dog", "rain"]
    vectors = torch.stack([text.vector for text in clip.embed_texts(sentences)])
    logits = math.exp(2.0) * embeds @ vectors.T - 1.5
    for multi_label, expected in ((True, logits.sigmoid()), (False, logits.softmax(dim=1))):
        question = Question(candidate_labels=sentences, hypothesis_template="{}", multi_label=multi_label)
        scores = score(clip.embed_question(question), embeds, clip.logit_scale, clip.calibration)
        assert torch.allclose(scores, expected, atol=1e-5)


def test_a_fitted_curve_comes_before_the_models_own_sigmoid() -> None:
    model = tiny_siglip(gemma_tokenizer())
    fitted = Calibration(temperature=2.0, multi_label=MultiLabelCalibration(a=3.0, b=-1.0))
    assert with_own_sigmoid(fitted, model) == fitted
    own = with_own_sigmoid(Calibration(temperature=2.0), model)
    assert own.temperature == 2.0 and own.multi_label is not None
    assert (own.multi_label.a, own.multi_label.b) == (pytest.approx(math.exp(2.0)), -1.5)
    assert with_own_sigmoid(Calibration(), tiny_model(tiny_tokenizer())).multi_label is None


def test_what_is_saved_is_loaded_again_by_transformers_name(folders: dict[str, Path], tmp_path: Path) -> None:
    for kind, folder in folders.items():
        before = load_checkpoint(folder)
        save_checkpoint(tmp_path / kind, before.model, before.tokenizer, before.processor, before.metadata)
        after = load_checkpoint(tmp_path / kind)
        assert json.loads((tmp_path / kind / "config.json").read_text())["architectures"] == ["SiglipModel"]
        states = before.model.state_dict(), after.model.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        reads = [TextReader.of(each.model, each.tokenizer)(TEXTS) for each in (before, after)]
        assert list(reads[0]) == list(reads[1]) and torch.equal(reads[0]["input_ids"], reads[1]["input_ids"])


def test_a_towers_parts_are_the_models(folders: dict[str, Path]) -> None:
    siglip, clip = tiny_siglip(unigram_tokenizer()), tiny_model(tiny_tokenizer())
    assert image_tower(siglip).head == (siglip.vision_model.post_layernorm, siglip.vision_model.head)
    assert text_tower(siglip).head == (siglip.text_model.final_layer_norm, siglip.text_model.head)
    assert text_tower(clip).head == (clip.text_model.final_layer_norm, clip.text_projection)
    assert len(image_tower(siglip).layers) == 2
    assert tower_with(siglip, "vision_model.head.probe").module is siglip.vision_model
    assert logit_parameters(siglip) == [siglip.logit_scale, siglip.logit_bias] and len(logit_parameters(clip)) == 1
    assert logit_bias(clip) is None and logit_scale(siglip).shape == logit_scale(clip).shape == ()
    assert (natural_loss(siglip), natural_loss(clip)) == ("sigmoid", "infonce")


def test_a_scale_is_clipped_where_its_paper_does_so() -> None:
    siglip, clip = tiny_siglip(unigram_tokenizer()), tiny_model(tiny_tokenizer())
    for model, kept in ((siglip, 118.0), (clip, 100.0)):
        model.logit_scale.data.fill_(math.log(118))
        clip_logit_scale(model)
        assert logit_scale(model).item() == pytest.approx(kept, rel=1e-5)


def test_layers_are_replaced_but_for_those_that_attention_reads_itself() -> None:
    class Same(nn.Module):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layer(inputs)

    model = tiny_siglip(unigram_tokenizer())
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        before = model.get_image_features(pixels).pooler_output
        assert len(replace_image_layers(model, nn.Linear, Same)) == 2 * 6 + 2
        assert torch.equal(model.get_image_features(pixels).pooler_output, before)


@pytest.mark.slow
def test_in_8_bits_vectors_point_about_where_they_did(folders: dict[str, Path]) -> None:
    clip, exact = (Clip(load_checkpoint(folders["second"])) for _ in range(2))
    Quantization(clip)
    pixels = torch.stack([exact.preprocess(picture) for picture in PICTURES])
    cosines = (OpenVinoTowers(clip, "int8", 1, 8).workers[0](pixels) * exact.embed_images(pixels)).sum(dim=-1)
    assert cosines.min() > 0.9 and cosines.max() < 1 - 1e-6


def test_images_differ_anyway_as_the_projection_widens_what_comes_before_it(siglip_dir: Path) -> None:
    model = tiny_model(tiny_tokenizer())
    widths = torch.linspace(0.5, 2.0, model.visual_projection.in_features)
    with torch.no_grad():
        model.vision_model.post_layernorm.weight.copy_(widths)
        seen = torch.cov(model.visual_projection(torch.randn(100_000, len(widths)) * widths).T)
    told = image_background(model)
    assert told is not None and torch.allclose(told, seen, atol=0.03 * float(told.diagonal().max()))
    assert image_background(load_checkpoint(siglip_dir).model) is None
