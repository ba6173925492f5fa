"""open_clip's folders answer as open_clip itself did: open_clip_reference.py asked it once."""

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contract.containers import ServeSettings
from contract.questions import Parameters
from contract.requests import ClassifyRequest
from model.clip.checkpoint import load_checkpoint
from model.clip.folder import CheckpointError
from model.clip.open_clip import clip_weights
from model.serving.engine import Engine
from model.serving.load import load_engine
from model.serving.observe import Metrics
from model.training.loop import Loop
from tests.model.clip.open_clip_folders import (
    LABELS,
    PICTURES,
    REFERENCES,
    Reference,
    noise,
    picture,
    reference,
    save_folder,
    tokens,
    weights_of,
)
from tests.model.conftest import tiny_tokenizer
from tests.model.loops import exported
from tests.model.serving.engines import build_engine
from tests.model.serving.test_engine import answer

MAX_DIFFERENCE = 1e-4
NAMES = sorted(path.stem for path in REFERENCES.glob("*.json"))


def folder_of(directory: Path, found: Reference) -> Path:
    """As a hub has it: with a tokenizer's files beside."""
    save_folder(directory, found)
    tiny_tokenizer().save_pretrained(directory)
    return directory


def layers_of(found: Reference) -> tuple[int, int]:
    cfg = found["config"]["model_cfg"]
    return cfg["vision_cfg"]["layers"], cfg["text_cfg"]["layers"]


def test_both_activations_and_both_sizes_were_asked() -> None:
    asked = {
        (bool(cfg.get("quick_gelu")), cfg["vision_cfg"]["image_size"])
        for cfg in (reference(name)["config"]["model_cfg"] for name in NAMES)
    }
    assert asked == {(True, 224), (True, 256), (False, 224), (False, 256)}


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_its_logits_and_texts_are_open_clips(name: str, tmp_path: Path) -> None:
    found = reference(name)
    loaded = load_checkpoint(folder_of(tmp_path, found))
    context = loaded.context_length
    texts = torch.tensor([tokens(label, context) for label in LABELS])
    for label, ids in zip(LABELS, texts.tolist(), strict=True):
        read = loaded.tokenizer(label)["input_ids"]
        assert read == ids[: len(read)]
    side = found["config"]["model_cfg"]["vision_cfg"]["image_size"]
    pictures = loaded.processor([picture(*size) for size in PICTURES], return_tensors="pt")["pixel_values"]
    for pixels, logits in ((pictures, "logits_of_pictures"), (noise(side), "logits_of_noise")):
        ours = loaded.model(pixel_values=pixels, input_ids=texts).logits_per_image
        assert (ours - torch.tensor(found[logits])).abs().max() <= MAX_DIFFERENCE
    features = loaded.model.get_text_features(input_ids=texts[:1]).pooler_output
    assert torch.allclose(features / features.norm(), torch.tensor(found["text_features"]), atol=1e-6)


def largest_difference(engine: Engine, found: Reference) -> float:
    """Of the scores from softmax(open_clip's logits)."""
    differences: list[float] = []
    for size, logits in zip(PICTURES, found["logits_of_pictures"], strict=True):
        picture(*size).save(file := io.BytesIO(), "PNG")
        parameters = Parameters(candidate_labels=LABELS, hypothesis_template="{}")
        got = asyncio.run(answer(engine, ClassifyRequest([file.getvalue()], parameters)))
        scores = {each["label"]: each["score"] for each in json.loads(got)}
        expected = dict(zip(LABELS, torch.tensor(logits).softmax(0).tolist(), strict=True))
        differences += [abs(scores[label] - expected[label]) for label in LABELS]
    return max(differences)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick_gelu-224", "gelu-256"])
def test_the_server_answers_from_such_a_folder_as_open_clip_does(name: str, tmp_path: Path) -> None:
    found = reference(name)
    folder = folder_of(tmp_path, found)
    settings = ServeSettings(base_model_dir=Path("/nowhere"), model_dir=folder, exact=True, model_workers=1)
    assert largest_difference(load_engine(settings, Metrics())[0], found) <= MAX_DIFFERENCE  # by OpenVINO
    assert largest_difference(build_engine(folder), found) <= MAX_DIFFERENCE  # by torch


def test_a_training_that_begins_with_such_a_folder_makes_one_of_clip_models(
    tmp_path: Path, coloured_job: Path, loop_of: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = folder_of(tmp_path / "base", reference("quick_gelu-256"))
    monkeypatch.setenv("BASE_MODEL_DIR", str(base))
    loop = loop_of(steps="3")
    for _ in range(3):
        loop.take_step()
    exported(loop)
    before, after = load_checkpoint(base), load_checkpoint(coloured_job / "model")
    assert (coloured_job / "model" / "config.json").exists()
    assert after.metadata.parent == before.metadata.version
    assert after.model.config.vision_config.hidden_act == "quick_gelu"
    assert after.processor.size == before.processor.size
    name = "visual_projection.weight"
    assert not torch.equal(after.model.state_dict()[name], before.model.state_dict()[name])


def test_half_precision_is_kept() -> None:
    found = reference("gelu-256")
    half = {name: tensor.half() for name, tensor in weights_of(found["shapes"]).items()}
    assert {tensor.dtype for tensor in clip_weights(half, *layers_of(found)).values()} == {torch.float16}


def test_what_lies_beside_the_weights_in_older_files_is_passed_over() -> None:
    found = reference("gelu-256")
    weights = weights_of(found["shapes"])
    older = {**weights, "attn_mask": torch.zeros(24, 24), "input_resolution": torch.tensor(256)}
    assert clip_weights(older, *layers_of(found)).keys() == clip_weights(weights, *layers_of(found)).keys()


def test_tensors_that_a_plain_clip_lacks_or_has_not_are_named() -> None:
    found = reference("gelu-256")
    weights = weights_of(found["shapes"])
    with pytest.raises(ValueError, match=r"hold 1 tensors that a plain CLIP has not, such as logit_bias"):
        clip_weights({**weights, "logit_bias": torch.zeros(())}, *layers_of(found))
    del weights["visual.ln_pre.bias"]
    with pytest.raises(ValueError, match=r"lack 1 tensors of an open_clip model, such as visual\.ln_pre\.bias"):
        clip_weights(weights, *layers_of(found))
    with pytest.raises(ValueError, match=r"too few for 1000000000 \+ 1 layers"):
        clip_weights(weights, 10**9, 1)


def test_a_model_that_is_no_plain_clip_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    found = reference("gelu-256")
    found["config"]["model_cfg"]["multimodal_cfg"] = {"layers": 12}
    with pytest.raises(CheckpointError, match=r"open_clip_config\.json: model_cfg\.multimodal_cfg is"):
        load_checkpoint(folder_of(tmp_path, found))


def test_clips_own_files_come_first_where_a_folder_has_both(checkpoint_dir: Path, tmp_path: Path) -> None:
    save_folder(tmp_path, reference("gelu-256"))
    for path in checkpoint_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert load_checkpoint(tmp_path).model.config.vision_config.image_size == 32


def test_the_files_of_timm_beside_them_are_passed_over(tmp_path: Path) -> None:
    """As the hub's timm/vit_base_patch32_clip_224 and its kin have them."""
    folder = folder_of(tmp_path, reference("gelu-256"))
    (folder / "config.json").write_text('{"architecture": "vit_base_patch32_clip_256", "num_classes": 512}')
    (folder / "model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    assert load_checkpoint(folder).model.config.vision_config.image_size == 256
