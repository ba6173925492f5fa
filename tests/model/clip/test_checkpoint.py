"""A checkpoint is a complete CLIP folder with safetensors, or a sentence says what it lacks."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPProcessor

from contract.checkpoints import Calibration, CheckpointMetadata, MultiLabelCalibration
from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.clip.folder import CheckpointError, is_checkpoint


@pytest.fixture
def copy_dir(checkpoint_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint that a test may spoil."""
    shutil.copytree(checkpoint_dir, tmp_path / "copy")
    return tmp_path / "copy"


def test_what_is_saved_is_what_is_loaded(calibrated_checkpoint_dir: Path, tmp_path: Path) -> None:
    first = load_checkpoint(calibrated_checkpoint_dir)
    save_checkpoint(tmp_path, first.model, first.tokenizer, first.processor, first.metadata)
    second = load_checkpoint(tmp_path)
    for (name, weight), (same_name, same_weight) in zip(
        first.model.state_dict().items(), second.model.state_dict().items(), strict=True
    ):
        assert name == same_name
        assert torch.equal(weight, same_weight)
    assert second.metadata == first.metadata
    assert second.metadata.calibration == Calibration(temperature=2.0, multi_label=MultiLabelCalibration(a=3.0, b=-1.0))
    assert second.tokenizer("a cat")["input_ids"] == first.tokenizer("a cat")["input_ids"]
    assert second.processor.to_dict() == first.processor.to_dict()


def test_half_precision_on_disk_is_loaded_in_the_precision_asked_for(checkpoint_dir: Path, tmp_path: Path) -> None:
    original = load_checkpoint(checkpoint_dir)
    save_checkpoint(tmp_path, original.model, original.tokenizer, original.processor, original.metadata, torch.float16)
    assert {weight.dtype for weight in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    assert load_checkpoint(tmp_path).model.dtype == torch.float32
    assert original.model.dtype == torch.float32
    assert load_checkpoint(tmp_path, dtype=torch.float16).model.dtype == torch.float16


def test_anyone_may_read_a_checkpoint(checkpoint_dir: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in checkpoint_dir.iterdir()} == {0o644}


def test_a_loaded_model_is_in_evaluation_mode_and_knows_its_context(checkpoint_dir: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_dir)
    assert not checkpoint.model.training
    assert checkpoint.context_length == 48


def test_saving_over_a_checkpoint_leaves_the_new_one_alone(copy_dir: Path) -> None:
    checkpoint = load_checkpoint(copy_dir)
    save_checkpoint(
        copy_dir, checkpoint.model, checkpoint.tokenizer, checkpoint.processor, CheckpointMetadata(version="next")
    )
    assert load_checkpoint(copy_dir).metadata.version == "next"
    assert not [path for path in copy_dir.iterdir() if path.name.startswith(".")]


def test_a_save_that_fails_keeps_the_old_checkpoint(copy_dir: Path) -> None:
    checkpoint = load_checkpoint(copy_dir)

    class FullDisk:
        def save_pretrained(self, directory: Path) -> None:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        save_checkpoint(
            copy_dir, checkpoint.model, FullDisk(), checkpoint.processor, CheckpointMetadata(version="next")
        )
    assert load_checkpoint(copy_dir).metadata.version == "tiny-1"
    assert not [path for path in copy_dir.iterdir() if path.name.startswith(".")]


def test_without_our_metadata_the_weights_name_the_version(copy_dir: Path) -> None:
    (copy_dir / "wordsight.json").unlink()
    version = load_checkpoint(copy_dir).metadata.version
    assert version.startswith("base-")
    assert load_checkpoint(copy_dir).metadata.version == version
    weights = load_file(copy_dir / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, copy_dir / "model.safetensors", {"format": "pt"})
    assert load_checkpoint(copy_dir).metadata.version != version


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", "holds no config.json"),
        ("model.safetensors", "lacks weights: model.safetensors or"),
        ("tokenizer.json", "lacks a tokenizer"),
        ("preprocessor_config.json", "lacks image sizes"),
    ],
)
def test_a_missing_file_is_named(copy_dir: Path, missing: str, sentence: str) -> None:
    (copy_dir / missing).unlink()
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(copy_dir)


def test_a_pickle_is_no_substitute_for_safetensors(copy_dir: Path) -> None:
    torch.save(load_file(copy_dir / "model.safetensors"), copy_dir / "pytorch_model.bin")
    (copy_dir / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors.* is needed, found .*pytorch_model.bin"):
        load_checkpoint(copy_dir)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("config.json", "AutoModel"),
        ("config.json", "AutoTokenizer"),
        ("tokenizer_config.json", "AutoTokenizer"),
        ("preprocessor_config.json", "AutoImageProcessor"),
    ],
)
def test_code_of_its_own_is_refused_and_never_run(copy_dir: Path, name: str, kind: str) -> None:
    ran = copy_dir / "ran"
    (copy_dir / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: ...\n")
    own = ["own.Own", None] if kind == "AutoTokenizer" else "own.Own"
    said = json.loads((copy_dir / name).read_text())
    (copy_dir / name).write_text(json.dumps({**said, "auto_map": {kind: own}}))
    with pytest.raises(CheckpointError, match="auto_map is given"):
        load_checkpoint(copy_dir)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("initializer_factor", "x"),
        ("initializer_factor", None),
        ("logit_scale_init_value", 0),
        ("return_dict", False),
        ("attn_implementation", "somebody/kernel"),
        ("num_labels", []),
        ("id2label", 5),
    ],
)
def test_what_else_a_configuration_says_makes_no_difference(copy_dir: Path, member: str, value: object) -> None:
    before = load_checkpoint(copy_dir)
    config = json.loads((copy_dir / "config.json").read_text())
    config["vision_config"][member] = config["text_config"][member] = config[member] = value
    (copy_dir / "config.json").write_text(json.dumps(config))
    after = load_checkpoint(copy_dir)
    ids = torch.tensor([[0, 1]])
    assert torch.equal(*(each.model.get_text_features(input_ids=ids).pooler_output for each in (before, after)))


def test_a_tokenizer_class_that_nobody_knows_loads_no_code(copy_dir: Path) -> None:
    ran = copy_dir / "ran"
    (copy_dir / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: ...\n")
    path = copy_dir / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "own.Own"}))
    load_checkpoint(copy_dir)
    assert not ran.exists()


def test_the_folder_of_a_whole_processor_is_a_checkpoint(copy_dir: Path) -> None:
    """As transformers' CLIPProcessor saves it, beside PyTorch's own file of the weights."""
    loaded = load_checkpoint(copy_dir)
    (copy_dir / "preprocessor_config.json").unlink()
    CLIPProcessor(loaded.processor, loaded.tokenizer).save_pretrained(copy_dir)
    (copy_dir / "pytorch_model.bin").write_bytes(b"\x80")
    assert not (copy_dir / "preprocessor_config.json").exists()
    assert load_checkpoint(copy_dir).processor.to_dict() == loaded.processor.to_dict()


def test_weights_that_are_not_there_are_not_made_up(copy_dir: Path) -> None:
    weights = load_file(copy_dir / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, copy_dir / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack 1 tensors of a CLIP model, such as visual_projection"):
        load_checkpoint(copy_dir)


def test_weights_cut_off_are_refused(copy_dir: Path) -> None:
    weights = (copy_dir / "model.safetensors").read_bytes()
    (copy_dir / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match=r"has 103,706 bytes and should have 207,412: send it again"):
        load_checkpoint(copy_dir)


def test_a_model_of_another_kind_is_refused(copy_dir: Path) -> None:
    config = json.loads((copy_dir / "config.json").read_text())
    (copy_dir / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(CheckpointError, match="'bert' is not served, allowed are 'clip' and 'siglip'"):
        load_checkpoint(copy_dir)


def test_bad_metadata_is_refused(copy_dir: Path) -> None:
    (copy_dir / "wordsight.json").write_text('{"calibration": {"temperature": -1}}')
    with pytest.raises(CheckpointError, match=r"wordsight.json: version: is missing; calibration.temperature"):
        load_checkpoint(copy_dir)


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert not is_checkpoint(tmp_path)
    assert not is_checkpoint(tmp_path / "absent")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["text_model.final_layer_norm.weight", "vision_model.encoder.layers.1.mlp.fc1.weight"])
def test_weights_that_are_no_numbers_are_neither_loaded_nor_saved(copy_dir: Path, name: str, value: float) -> None:
    checkpoint = load_checkpoint(copy_dir)
    weights = load_file(copy_dir / "model.safetensors")
    weights[name].view(-1)[-1] = value
    save_file(weights, copy_dir / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"no numbers .NaN., such as {name}"):
        load_checkpoint(copy_dir)
    checkpoint.model.state_dict()[name].view(-1)[-1] = value
    metadata = CheckpointMetadata(version="spoilt")
    with pytest.raises(CheckpointError, match=f"what is to be saved .* such as {name}"):
        save_checkpoint(copy_dir / "next", checkpoint.model, checkpoint.tokenizer, checkpoint.processor, metadata)
    assert not is_checkpoint(copy_dir / "next")


def test_weights_too_large_for_half_precision_are_not_saved_in_it(copy_dir: Path) -> None:
    found = load_checkpoint(copy_dir)
    found.model.state_dict()["visual_projection.weight"].view(-1)[0] = 70_000.0
    save_checkpoint(copy_dir / "full", found.model, found.tokenizer, found.processor, found.metadata)
    with pytest.raises(CheckpointError, match=r"visual_projection\.weight"):
        save_checkpoint(copy_dir / "half", found.model, found.tokenizer, found.processor, found.metadata, torch.float16)


@pytest.mark.parametrize(
    ("file", "changes", "sentence"),
    [
        ("preprocessor_config.json", {"image_std": [0.2, 0.0, 0.2]}, "image_std"),
        ("preprocessor_config.json", {"crop_size": {"height": 30, "width": 30}}, "30 x 30 pixels, and the model reads"),
        ("wordsight.json", {"calibration": {"temperature": 1e-300}}, "temperature"),
        ("wordsight.json", {"version": "one\r\nset-cookie: a=b"}, "version"),
        ("config.json", {"projection_dim": 17}, r"text_projection.weight has the shape \[16, 32\]"),
    ],
)
def test_what_post_models_refuses_is_not_loaded_either(
    copy_dir: Path, file: str, changes: dict[str, object], sentence: str
) -> None:
    said = json.loads((copy_dir / file).read_text())
    (copy_dir / file).write_text(json.dumps({**said, **changes}))
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(copy_dir)
