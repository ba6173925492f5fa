"""The README.md of a checkpoint: what it is, how it was made, how good it is and what it can't do. All of it follows
from `wordsight.json`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue

from contract.checkpoints import CheckpointMetadata
from contract.metrics import REFERENCE_TASK, Metrics, Reference
from contract.model_cards import ModelCard
from model.evaluation.chart import learning_curve
from model.evaluation.report import changes_table, markdown, tasks_table, wording_table

CARD = "README.md"
CURVE = "learning_curve.svg"
FIRST_STEPS = """```python
from transformers import pipeline

classify = pipeline("zero-shot-image-classification", model="path/to/this/folder")
classify("picture.png", candidate_labels=["a red circle", "a house", "a fish"])
```"""
MARGIN = 0.15
"""A task within this of chance is called out as not learnt."""
MANY_WRONG = 0.03
"""A task with this share of wrong labels above 0.5 is called out as one where a lone label's score needs care."""


def write_card(directory: Path, metadata: CheckpointMetadata) -> None:
    """Write the card and the learning curve beside the weights they describe."""
    (directory / CURVE).unlink(missing_ok=True)
    if curve := metadata.metrics.get("learning_curve"):
        (directory / CURVE).write_text(learning_curve(curve))  # type: ignore[arg-type]
    (directory / CARD).write_text(card(metadata))


def card(metadata: CheckpointMetadata) -> str:
    """The card's Markdown."""
    metrics = Metrics.of(metadata.metrics)
    curve = f"## Learning curve\n\n![Validation loss and accuracy over the steps]({CURVE})"
    parts = [
        _title(metadata, metrics),
        _strategy(metrics),
        _figures(metadata, metrics),
        _new_tasks(metrics),
        _kept(metrics),
    ]
    parts += [_wording(metrics), _limits(metrics), curve if metrics.learning_curve else "", _recipe(metadata, metrics)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _title(metadata: CheckpointMetadata, metrics: Metrics) -> str:
    fine_tuned = metadata.parent and not _knows_the_world_alone(metrics)
    origin = f"fine-tuned from `{metadata.parent}`" if fine_tuned else "trained from scratch"
    world = (metrics.hyperparameters or {}).get("data") == "world"
    data = "the rendered world of `model/world/scene.py`" if world else "the images of its train channel"
    said = f"A CLIP model {origin} on {data}: it scores how well words fit an image."
    return f"# {metadata.version}\n\n{said}\n\n{_knowledge(metadata.card())}\n\n{FIRST_STEPS}"


def _knowledge(known: ModelCard) -> str:
    languages = f"Languages: {', '.join(known.languages)}. " if known.languages else ""
    return f"{known.knows} {languages}Licence: {known.licence}."


def _strategy(metrics: Metrics) -> str:
    """What was trained, where the run was to choose."""
    found = metrics.strategy
    if found is None:
        return ""
    section = f"## What was trained\n\n{found.sentence}"
    shares = {"words": found.words, "head": found.head, "projection": found.projection}
    rows = [[name, f"{share:.3f}"] for name, share in shares.items() if share is not None]
    table = markdown(["by the base's images left out", "wrong answers"], rows, aligned=True)
    return f"{section}\n\n{table}" if rows else section


def _figures(metadata: CheckpointMetadata, metrics: Metrics) -> str:
    if metrics.world is None:
        return (
            "## Figures\n\nTraining was stopped before its end, so nothing was measured or calibrated, and what "
            "fine-tuning cost elsewhere is not known."
        )
    return (
        "## Figures\n\nZero-shot on rendered images the model never saw, in sentences it was never trained on; every "
        "label is equally frequent, so chance is one over their number. Calibration error is after the temperature "
        f"of {metadata.calibration.temperature or 1:.3g} that is part of the checkpoint. Wordsight divides by it and "
        "the pipeline above does not, so their scores differ, though not the order of the labels. The `unseen` row "
        f"asks for combinations of colour and shape that training never showed.\n\n{tasks_table(_rows(metrics.world))}"
    )


def _new_tasks(metrics: Metrics) -> str:
    """The new domain, where its data names labels."""
    if metrics.new is None:
        return ""
    section = (
        f"## The new domain\n\nOn the data's own {metrics.new_reported_on} images, which were kept back from "
        f"training, in sentences it was never trained on.\n\n{tasks_table(_rows(metrics.new))}"
    )
    if metrics.new_before is not None and metrics.new_change is not None:
        changes = changes_table(_rows(metrics.new_before), _rows(metrics.new), _rows(metrics.new_change))
        section += f"\n\nAgainst the base:\n\n{changes}"
    if metrics.new_heads:
        rows = [
            [
                name,
                f"{found.images}",
                *("" if share is None else f"{share:.3f}" for share in (found.before, found.after)),
            ]
            for name, found in metrics.new_heads.items()
        ]
        table = markdown(["task", "images", "head on the base", "head on this model"], rows, aligned=True)
        section += (
            "\n\nWith a head on frozen embeddings, as a saved task learns at once, from images that were trained on; "
            f"where it shows no gain the words answer:\n\n{table}"
        )
    return section


def _kept(metrics: Metrics) -> str:
    """What fine-tuning cost, and between which mixtures was chosen."""
    if metrics.interpolation is None:
        return ""
    found = metrics.interpolation
    changes = changes_table(_rows(metrics.world_before), _rows(metrics.world), _rows(metrics.world_change))
    rows = []
    for point in found.frontier or ():
        drops = (point.mean_drop, point.mean_drop_at_most, point.worst_drop, point.worst_drop_at_most)
        decision = "published" if point.alpha == found.alpha else ""
        row = [f"{point.alpha:g}", f"{point.new:.3f}", *map("{:+.3f}".format, drops), point.worst_task or "", decision]
        rows.append(row)
    header = ["fine-tuned share", "new", "mean drop", "at most", "largest drop", "at most", "at", "decision"]
    return (
        f"## What fine-tuning changed\n\n{found.sentence}\n\n{changes}\n\nThe mixtures to choose from, measured on "
        "other images. `new` is the share of the new domain's validation images whose best sentence is a true one; "
        "`at most` is the upper end of a one-sided 95 % interval, and what the limits hold for; tasks at which the "
        f"base is hardly better than chance do not count as old.\n\n{markdown(header, rows, aligned=True)}"
        f"{_on_reference(metrics.reference or Reference())}{_on_old(metrics)}"
    )


def _on_old(metrics: Metrics) -> str:
    """What was labelled before, where there was something."""
    if not metrics.old or not metrics.old_before or not metrics.old_change:
        return ""
    table = changes_table(_rows(metrics.old_before), _rows(metrics.old), _rows(metrics.old_change))
    reasons = "".join(f"\n- `{name}`: {reason}." for name, reason in (metrics.old_reasons or {}).items())
    no_limit = f"\n\nThe limits of forgetting do not hold for all of it:\n{reasons}" if reasons else ""
    mean = "" if metrics.old_in_mean else " It is too little to be in the mean over the old tasks."
    return (
        "\n\nOn images that were labelled before, which were not trained on and by which the mixture was chosen, too; "
        f"each is an old task.{mean}\n\n{table}{no_limit}"
    )


def _on_reference(found: Reference) -> str:
    """What the reference set says, where there was one."""
    if found.agreement is None or found.agreement_at_least is None or found.variation is None:
        return ""
    return (
        f"\n\nOn a reference set of images: {found.learnt:,} were trained on, to keep the base's "
        f"answers. Of the answers to {found.images:,} others, in a wide vocabulary, {found.agreement:.3f} are its, at "
        f"least {found.agreement_at_least:.3f} by a one-sided 95 % interval; probabilities differ by "
        f"{found.variation:.3f} in total variation. What is missing to 1 is the drop of `{REFERENCE_TASK}`."
    )


def _wording(metrics: Metrics) -> str:
    gaps = {**_rows(metrics.new_wording), **_rows(metrics.wording)}
    if not gaps:
        return ""
    return (
        "## Wording\n\nMean accuracy of one sentence per label, over the wordings that training uses and over those "
        f"that it never does.\n\n{wording_table(gaps)}"
    )


def _limits(metrics: Metrics) -> str:
    tasks = {**(metrics.world or {}), **(metrics.new or {})}
    weak = [name for name, figures in tasks.items() if (figures.accuracy or 0) < (figures.chance or 0) + MARGIN]
    known = f"Hardly better than chance at: {', '.join(weak)}. Don't use it for these. " if weak else ""
    world = (
        "It has seen drawings of 64 px and the words of its world only. Photographs, other things and other words are "
        "beyond it: fine-tune it, or start from a public CLIP checkpoint. Known words in a pattern that "
        "`model/world/wording.py` never uses, such as `a photo of a white background`, can fail too."
    )
    channel = "It has seen the images and words of its train channel only. Anything else is beyond it."
    tuned = "What it was not measured on may have changed too. Compare it with its parent before you rely on it there."
    limits = tuned if (metrics.hyperparameters or {}).get("init") == "base" else channel
    limits = world if _knows_the_world_alone(metrics) else limits
    shares = {**(metrics.world_wrong_above_half or {}), **(metrics.new_wrong_above_half or {})}
    many = [f"{name} {share:.0%}" for name, share in shares.items() if share >= MANY_WRONG]
    lone = f" Scored on its own (`multi_label`), a wrong label gets more than 0.5 this often: {', '.join(many)}."
    return f"## Limits\n\n{known}{limits}{lone if many else ''}"


def _knows_the_world_alone(metrics: Metrics) -> bool:
    runs = metrics.recipes
    return bool(runs) and runs[0].get("init") == "scratch" and all(run.get("data") == "world" for run in runs)


def commands(metrics: Metrics) -> list[str]:
    """What makes a checkpoint again: the runs that led to it, the first one first."""
    return [
        " ".join(["python -m model.training", *(f"{name}={value}" for name, value in run.items())])
        for run in metrics.recipes
    ]


def _recipe(metadata: CheckpointMetadata, metrics: Metrics) -> str:
    runs = commands(metrics)
    order = "Each on the base that the one before left:\n\n" if len(runs) > 1 else ""
    lines = "\n".join(runs)
    summary = metrics.model_dump(include={"step", "before", "after"}, exclude_none=True)
    return (
        f"## Recipe\n\n{order}```\n{lines}\n```\n\nData digest `{metadata.data_digest}`.\n\n"
        f"```json\n{json.dumps(summary, indent=2)}\n```"
    )


def _rows(figures: Mapping[str, BaseModel] | None) -> dict[str, dict[str, JsonValue]]:
    """As the tables take them."""
    return {name: found.model_dump(exclude_none=True) for name, found in (figures or {}).items()}
