"""What surrounds the towers is of a folder what it is of transformers' model, and is had without transformers."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from contract.checkpoints import Calibration, MultiLabelCalibration
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import check_folder, load_metadata, read_weights
from model.clip.processing import Processing, with_own_sigmoid
from tests.model.clip.test_encode import PICTURES, TEXTS

ROOT = Path(__file__).parents[3]


def read(directory: Path, *, exact: bool = False) -> Processing:
    checked = check_folder(directory)
    weights = read_weights(directory, checked)
    return Processing.read(directory, checked, load_metadata(directory), weights, exact=exact)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("folder", ["checkpoint_dir", "calibrated_checkpoint_dir", "siglip_dir"])
def test_it_is_the_clips(folder: str, exact: bool, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(folder)
    found, clip = read(directory, exact=exact), Clip(load_checkpoint(directory), exact=exact)
    assert (found.version, found.calibration, found.context_length) == (
        clip.version,
        clip.calibration,
        clip.context_length,
    )
    assert found.logit_scale == clip.logit_scale and found.preparation.short_side == clip.preparation.short_side
    for picture in PICTURES:
        assert torch.equal(found.preprocess(picture), clip.preprocess(picture))
    pixels = found.blank_pixels(2)
    assert torch.equal(found.normalization(pixels), clip.normalization(pixels))
    ours, theirs = found.read_texts([*TEXTS, "x " * 90]), clip.read_texts([*TEXTS, "x " * 90])
    assert torch.equal(ours.ids, theirs.ids) and ours.truncated == theirs.truncated


def test_settings_of_images_that_say_more_are_read_by_transformers(checkpoint_dir: Path, tmp_path: Path) -> None:
    """A number for a size means the shorter side, but where a file says that it means both."""
    directory = tmp_path / "copy"
    shutil.copytree(checkpoint_dir, directory)
    path = directory / "preprocessor_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"size": 32, "default_to_square": True}))
    found, clip = read(directory), Clip(load_checkpoint(directory), exact=False)
    wide = PICTURES[3]
    assert torch.equal(found.preprocess(wide), clip.preprocess(wide))
    assert not torch.equal(found.preprocess(wide), read(checkpoint_dir).preprocess(wide))


def test_a_fitted_curve_comes_before_the_models_own_sigmoid() -> None:
    fitted = Calibration(temperature=2.0, multi_label=MultiLabelCalibration(a=3.0, b=-1.0))
    assert with_own_sigmoid(fitted, math.exp(2.0), -1.5) == fitted
    own = with_own_sigmoid(Calibration(temperature=2.0), math.exp(2.0), -1.5)
    assert own == Calibration(temperature=2.0, multi_label=MultiLabelCalibration(a=math.exp(2.0), b=-1.5))
    assert with_own_sigmoid(Calibration(), math.exp(2.0), None).multi_label is None


def test_a_server_on_a_cpu_loads_without_transformers(checkpoint_dir: Path) -> None:
    program = (
        "import sys, pathlib; from model.clip.folder import check_folder; from model.serving.load import load_towers\n"
        f"folder = pathlib.Path({str(checkpoint_dir)!r})\n"
        "load_towers(folder, check_folder(folder), 'cpu', 'fp32', workers=1); import model.serving.server\n"
        "print('transformers' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
