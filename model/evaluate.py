"""How good a checkpoint is at the rendered world's tasks, zero-shot, in wordings it was never trained on.

python -m model.evaluate --checkpoint model/shipped
python -m model.evaluate --checkpoint model/shipped --scenes 6000 --json metrics.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from model.checkpoint import load_checkpoint
from model.evaluation.answers import as_metrics, result
from model.evaluation.report import tasks_table
from model.evaluation.world import World
from model.inference import Clip

SCENES = 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write the metrics if asked to."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder with config.json and its weights")
    parser.add_argument("--scenes", type=int, default=SCENES, help="rendered images per split (default %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    clip = Clip(load_checkpoint(given.checkpoint))
    temperature = clip.calibration.temperature or 1.0
    answers = World(clip, given.scenes).every_answer()
    metrics = as_metrics({name: result(said, clip.logit_scale, temperature) for name, said in answers.items()})
    print(tasks_table(metrics))
    if given.json:
        given.json.write_text(json.dumps(metrics, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
