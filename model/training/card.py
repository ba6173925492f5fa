"""The README.md of a checkpoint: what it is, how it was made, how good it is and what it can't do."""

import json
from collections.abc import Mapping
from pathlib import Path

from model.checkpoint import CheckpointMetadata
from model.evaluate import TaskResult, table
from model.settings import Hyperparameters
from model.training.interpolate import Interpolation
from model.training.selector import Choice, base_of, drop

CARD = "README.md"
FIRST_STEPS = """```python
from transformers import pipeline

classify = pipeline("zero-shot-image-classification", model="{directory}")
classify("picture.png", candidate_labels=["a red circle", "a house", "a fish"])
```"""
MARGIN = 0.15
"""A task within this of chance is called out as not learnt."""
MANY_WRONG = 0.03
"""A task with this share of wrong labels above 0.5 is called out as one where a lone label's score needs care."""


def write_card(
    directory: Path,
    metadata: CheckpointMetadata,
    results: Mapping[str, TaskResult],
    chosen: Hyperparameters,
    found: Interpolation | None = None,
) -> None:
    """Write the card beside the weights it describes."""
    limits = _limits(results, metadata, chosen)
    kept = [_kept(results, found)] if found else []
    parts = [_title(metadata, chosen), _figures(results, metadata), *kept, limits, _recipe(metadata, chosen)]
    (directory / CARD).write_text("\n\n".join(parts) + "\n")


def _title(metadata: CheckpointMetadata, chosen: Hyperparameters) -> str:
    origin = f"fine-tuned from `{metadata.parent}`" if metadata.parent else "trained from scratch"
    data = (
        "the rendered world of `model/world/scene.py`" if chosen.data == "world" else "the images of its train channel"
    )
    steps = FIRST_STEPS.format(directory="path/to/this/folder")
    return f"# {metadata.version}\n\nA CLIP model {origin} on {data}: it scores how well words fit an image.\n\n{steps}"


def _figures(results: Mapping[str, TaskResult], metadata: CheckpointMetadata) -> str:
    if not results:
        return (
            "## Figures\n\nTraining was stopped before its end, so nothing was measured or calibrated, and what "
            "fine-tuning cost elsewhere is not known."
        )
    return (
        "## Figures\n\nZero-shot on rendered images the model never saw, in sentences it was never trained on; every "
        "label is equally frequent, so chance is one over their number. Calibration error is after the temperature "
        f"of {metadata.calibration.temperature or 1:.3g} that is part of the checkpoint. Wordsight divides by it and "
        "the pipeline above does not, so their scores differ, though not the order of the labels. The `unseen` row "
        "asks for combinations of colour and shape that training never showed.\n\n" + table(results)
    )


def _kept(results: Mapping[str, TaskResult], found: Interpolation) -> str:
    """What fine-tuning cost, and between which mixtures was chosen."""
    rows = [
        f"| {name} | {before.accuracy:.3f} | {results[name].accuracy:.3f} | "
        f"{results[name].accuracy - before.accuracy:+.3f} |"
        for name, before in found.base_results.items()
    ]
    changes = "\n".join(["| task | before | after | change |", "| --- | --- | --- | --- |", *rows])
    return (
        f"## What fine-tuning changed\n\n{found.choice.sentence}\n\n{changes}\n\nThe mixtures to choose from, measured "
        "on other images. `new` is the share of the new domain's validation images whose best sentence is a true one; "
        f"tasks at which the base is hardly better than chance do not count as old.\n\n{_frontier(found.choice)}"
    )


def _frontier(choice: Choice) -> str:
    lines = ["| fine-tuned share | new | mean drop | largest drop | at | |", "| --- | --- | --- | --- | --- | --- |"]
    for candidate in choice.frontier:
        lost = drop(base_of(choice.frontier), candidate)
        mark = "published" if candidate is choice.picked else ""
        figures = f"{candidate.alpha:g} | {candidate.new:.3f} | {lost.mean:+.3f} | {lost.worst:+.3f}"
        lines.append(f"| {figures} | {lost.worst_task or ''} | {mark} |")
    return "\n".join(lines)


def _limits(results: Mapping[str, TaskResult], metadata: CheckpointMetadata, chosen: Hyperparameters) -> str:
    weak = [name for name, result in results.items() if result.accuracy < result.chance + MARGIN]
    known = f"Hardly better than chance at: {', '.join(weak)}. Don't use it for these. " if weak else ""
    world = (
        "It has seen drawings of 64 px and the words of its world only. Photographs, other things and other words are "
        "beyond it: fine-tune it, or start from a public CLIP checkpoint. Known words in a pattern that "
        "`model/world/wording.py` never uses, such as `a photo of a white background`, can fail too."
    )
    other = "What it was not measured on may have changed too. Compare it with its parent before you rely on it there."
    return f"## Limits\n\n{known}{world if chosen.init == 'scratch' else other}{_lone_labels(metadata)}"


def _lone_labels(metadata: CheckpointMetadata) -> str:
    shares = metadata.metrics.get("world_wrong_above_half")
    if not isinstance(shares, dict):
        return ""
    many = [f"{name} {share:.0%}" for name, share in shares.items() if isinstance(share, float) and share >= MANY_WRONG]
    said = "Scored on its own (`multi_label`), a wrong label of the world gets more than 0.5 this often:"
    return f" {said} {', '.join(many)}." if many else ""


def _recipe(metadata: CheckpointMetadata, chosen: Hyperparameters) -> str:
    given = chosen.model_dump(exclude_unset=True, exclude_none=True)
    arguments = " ".join(f"{name}={value}" for name, value in given.items())
    summary = {name: metadata.metrics[name] for name in ("step", "before", "after") if name in metadata.metrics}
    return (
        f"## Recipe\n\n```\npython -m model.train {arguments}\n```\n\nData digest `{metadata.data_digest}`.\n\n"
        f"```json\n{json.dumps(summary, indent=2)}\n```"
    )
