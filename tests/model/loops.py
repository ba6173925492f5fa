"""A small job under SageMaker's contract, and the loop that it would run."""

import json
import os
from pathlib import Path

from PIL import Image

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from model.training.distributed import Ranks
from model.training.loop import Loop
from model.training.replay import with_replay
from model.training.start import load_examples, load_start

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}
QUICK = {
    **{"steps": "24", "batch_size": "8", "learning_rate": "0.003", "warmup_steps": "2", "precision": "fp32"},
    **{"selection_scenes": "100", "evaluation_scenes": "100", "threads": "1"},
}


def lay_out_job(base_dir: Path, values: dict[str, str]) -> None:
    """A /opt/ml with forty coloured images, four of them for validation, and these hyperparameters."""
    lines = []
    channel = base_dir / "input/data/train"
    channel.mkdir(parents=True)
    for number, (name, colour) in enumerate(list(COLOURS.items()) * 10):
        Image.new("RGB", (40, 40), tuple(max(0, part - number) for part in colour)).save(channel / f"{number}.png")
        split = "validation" if number < 4 else "train"
        lines.append({"image": f"{number}.png", "captions": [name, f"a {name} one"], "split": split})
    (channel / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tell(base_dir, values)


def tell(base_dir: Path, values: dict[str, str]) -> None:
    """Write the job's hyperparameters."""
    (base_dir / "input/config").mkdir(exist_ok=True)
    (base_dir / "input/config/hyperparameters.json").write_text(json.dumps(values))


def build_loop(ranks: Ranks, **values: object) -> Loop:
    """The loop of the job that the environment names, quick where nothing else is said."""
    chosen = Hyperparameters.model_validate({**QUICK, **values})
    settings = TrainSettings.from_env(os.environ)
    examples = load_examples(settings, chosen)
    start = load_start(settings, chosen, examples)
    return Loop(chosen, with_replay(chosen, examples, start.base), start, ranks)
