"""Loading: which checkpoint, and in which arithmetic: the fastest that keeps the answers, or what was asked for."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from contract.containers import ServeSettings
from model.clip.checkpoint import load_checkpoint
from model.clip.device import DeviceError
from model.clip.encode import Clip
from model.clip.folder import CheckpointError, check_folder
from model.serving.load import LARGE_PARAMETERS, load_towers, pick_precision, warm_up
from model.serving.towers.openvino_without_telemetry import openvino
from model.serving.towers.torch import TorchTowers
from tests.model.serving.http_client import Client, as_base64, classify_body, jpeg

HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_a_small_model_on_a_cpu_stays_exact_enough_in_fp32() -> None:
    assert pick_precision(ServeSettings(), "cpu", LARGE_PARAMETERS - 1) == "fp32"


def test_a_large_model_on_a_cpu_takes_bf16_where_there_is_one() -> None:
    assert pick_precision(ServeSettings(), "cpu", LARGE_PARAMETERS) == ("bf16" if HAS_BF16 else "fp32")


def test_exact_is_fp32_everywhere() -> None:
    for device in ("cpu", "cuda"):
        assert pick_precision(ServeSettings(exact=True), device, LARGE_PARAMETERS) == "fp32"


def test_what_the_device_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(DeviceError, match=r"PRECISION is 'fp16', which this device lacks: it has fp32"):
        pick_precision(ServeSettings(precision="fp16"), "cpu", 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_takes_what_clip_was_trained_in() -> None:
    assert pick_precision(ServeSettings(), "cuda", 1) == "fp16"
    with pytest.raises(DeviceError, match="PRECISION is 'int8', which this device lacks"):
        pick_precision(ServeSettings(precision="int8"), "cuda", 1)


def test_the_checkpoint_in_the_model_folder_comes_before_the_base(client: Client) -> None:
    answer = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
    assert answer.attributes.model_version == "tiny-1", "of the two that the shared server has"


def test_a_tokenizer_that_no_library_takes_is_told_with_its_folder(checkpoint_dir: Path, tmp_path: Path) -> None:
    directory = tmp_path / "spoilt"
    shutil.copytree(checkpoint_dir, directory)
    vocabulary = load_checkpoint(checkpoint_dir).tokenizer.get_vocab()
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    (directory / "merges.txt").write_text("#version: 0.2\nno-such tokens\n")
    with pytest.raises(CheckpointError, match=f"{directory} can't be loaded"):
        load_towers(directory, check_folder(directory), "cpu", "fp32", workers=1)


def test_a_model_that_makes_no_numbers_is_not_served(checkpoint_dir: Path) -> None:
    """Weights that are numbers, and so large that what is computed from them is not."""
    found = load_checkpoint(checkpoint_dir)
    for name, weight in found.model.state_dict().items():
        if name.endswith(("fc1.weight", "fc2.weight")):
            weight.fill_(1e37)
    clip = Clip(found)
    towers = TorchTowers(clip, workers=1)
    with pytest.raises(CheckpointError, match="makes no numbers of an image or a text"):
        warm_up(clip, towers)
