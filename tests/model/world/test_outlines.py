"""Shapes and pictograms as polygons."""

import numpy as np
import pytest

from model.world.outlines import OUTLINES
from model.world.scene import FACTS


def test_every_shape_has_an_outline() -> None:
    assert set(OUTLINES) == set(FACTS["shape"])


@pytest.mark.parametrize("shape", OUTLINES)
def test_an_outline_fills_its_square_and_stays_within_it(shape: str) -> None:
    points = np.concatenate([part.points for part in OUTLINES[shape] if part.paint != "hole"])
    assert 0.4 < np.abs(points).max() < 0.6
    assert (points.max(axis=0) - points.min(axis=0)).max() > 0.75
