"""Towers as the server builds them of a folder."""

from pathlib import Path

from contract.containers import Precision
from model.clip.encode import Clip
from model.clip.folder import check_folder
from model.clip.tower_weights import text_tower_of
from model.serving.load import load_towers, openvino_towers
from model.serving.towers import Towers
from model.serving.towers.int8 import Quantization


def cpu_towers(directory: Path, precision: Precision = "fp32", workers: int = 1) -> Towers:
    """Run by OpenVINO."""
    return load_towers(directory, check_folder(directory), "cpu", precision, workers=workers)[1]


def int8_towers(clip: Clip, quantization: Quantization, directory: Path) -> Towers:
    """Those of a Clip that was quantized, whether it bears that or not. `directory`: which it was loaded from."""
    texts = text_tower_of(check_folder(directory).config, clip.model.state_dict())
    return openvino_towers(clip, quantization.graph(), texts, "int8", workers=1)
