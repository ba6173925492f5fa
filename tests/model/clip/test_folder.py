"""A folder's weights, by transformers' names, wherever they lie; and what no model is made of."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.clip.checkpoint import load_checkpoint
from model.clip.folder import CheckpointError, check_finite, check_folder, read_weights
from tests.model.clip.open_clip_folders import reference
from tests.model.clip.test_open_clip import folder_of


def test_weights_are_those_of_the_model(checkpoint_dir: Path) -> None:
    found = read_weights(checkpoint_dir, check_folder(checkpoint_dir))
    expected = load_checkpoint(checkpoint_dir).model.state_dict()
    assert found.keys() == {name for name in expected if not name.endswith("position_ids")}
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


def test_they_may_lie_in_several_files(checkpoint_dir: Path, tmp_path: Path) -> None:
    for path in checkpoint_dir.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(checkpoint_dir / "model.safetensors")
    files = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in files if files[name] == file}, tmp_path / file, {"format": "pt"})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    found = read_weights(tmp_path, check_folder(tmp_path))
    assert all(torch.equal(found[name], weight) for name, weight in weights.items())


def test_open_clips_have_the_names_of_transformers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, reference("gelu-256"))
    found = read_weights(folder, check_folder(folder))
    expected = load_checkpoint(folder).model.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


def test_a_folder_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"{tmp_path} holds no config.json")):
        check_folder(tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_weight_that_is_no_number_is_found_among_many(bad: float, dtype: torch.dtype) -> None:
    weights = {"good": torch.ones(3, 4, dtype=dtype), "scale": torch.tensor(2.0, dtype=dtype)}
    check_finite(weights, "here")
    weights["spoilt"] = torch.ones(3, 4, dtype=dtype)
    weights["spoilt"][1, 2] = bad
    with pytest.raises(CheckpointError, match=r"here holds weights that are infinite .* such as spoilt"):
        check_finite(weights, "here")
