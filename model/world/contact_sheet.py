"""A contact sheet of rendered scenes for the server's int8 precision, as the serving image holds no renderer.

python -m model.world.contact_sheet      writes it again, after a change of the world
"""

import numpy as np
from PIL import Image

from model.world.drawing import Pixels
from model.world.examples import render
from model.world.scene import Split

SHEET = "model/serving/towers/scenes.png"
"""Relative to the repository: 64 scenes of the train split, then 64 of the test split."""
SEED = 3_000_029
SPLITS: tuple[Split, ...] = ("train", "test")
SCENES = 64
PER_ROW = 16


def contact_sheet() -> Pixels:
    """uint8 RGB, shape = [rows * side, PER_ROW * side, 3]"""
    scenes = [render(SEED, split, index) for split in SPLITS for index in range(SCENES)]
    rows = [np.concatenate(scenes[start : start + PER_ROW], axis=1) for start in range(0, len(scenes), PER_ROW)]
    return np.concatenate(rows)


if __name__ == "__main__":
    Image.fromarray(contact_sheet()).save(SHEET, optimize=True)
