"""The sheet that the serving image carries is what the world draws today."""

from pathlib import Path

import numpy as np
from PIL import Image

from model.serving.towers.int8 import SCENE_PX, SCENES, SCENES_FILE
from model.world import contact_sheet
from model.world.drawing import IMAGE_SIZE


def test_the_scenes_of_the_serving_image_are_the_worlds() -> None:
    """After a change of the world: python -m model.world.contact_sheet"""
    assert np.array_equal(np.asarray(Image.open(SCENES_FILE)), contact_sheet.contact_sheet())
    assert (SCENE_PX, SCENES) == (IMAGE_SIZE, contact_sheet.SCENES)
    assert Path(contact_sheet.SHEET).name == SCENES_FILE.name
