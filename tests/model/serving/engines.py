"""Engines for tests: small, on this machine's CPU, with a fake in whichever place is asked for."""

import functools
from pathlib import Path
from typing import Any

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.decoder import Template
from model.serving.engine import Engine
from model.serving.observe import Metrics
from model.serving.towers import Towers
from model.serving.towers.torch import TorchTowers


@functools.cache
def template() -> Template:
    """One for all tests: it takes seconds to start."""
    started = Template()
    started.wait_until_up()
    return started


def build_engine(
    clip: Clip | Path, towers: Towers | None = None, metrics: Metrics | None = None, **options: Any
) -> Engine:
    """An engine over a Clip or a checkpoint's folder, with one thread and one decoder for everything."""
    if isinstance(clip, Path):
        clip = Clip(load_checkpoint(clip))
    chosen = {"decoders": 1, "label_cache_rows": 100, "head_cache_bytes": 1_000_000, **options}
    return Engine(clip, towers or TorchTowers(clip, workers=1), metrics or Metrics(), template(), **chosen)
