"""How well "none of these" is told from an image that a label fits, on the small checkpoint: benchmarks/unknown.md.

    python -m benchmarks.learning.unknown

Known are images of the rendered world; unknown are pictograms, noise, and real photographs: crops of two in data/.
Beside what is served, what was left out: prompts of the background, and a bank of other words.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.learning.domains import DATA, pictogram
from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.scoring import mean_direction, unknown_by_confidence, with_unknown
from model.evaluation.answers import embed_labels, embed_pictures, embed_sentences
from model.evaluation.world import World
from model.world.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "benchmarks/unknown.md"
ASKED = ("shape", "thing", "colour", "colour_and_shape")
"""Tasks that are asked: of ten and eight labels, of ten colours, and of a hundred."""
SCENES = 400
FAR_IMAGES = 100
BACKGROUND = (
    *(
        "something else",
        "something",
        "none of these",
        "an unknown object",
        "random noise",
        "a texture",
        "a blank image",
    ),
    *("an empty background", "a photograph", "a landscape", "a person", "text", "a pattern", "something blurry"),
)
WORDS = (
    *("animal", "bird", "cat", "dog", "insect", "person", "hand", "building", "street", "bridge", "room", "chair"),
    *(
        "table",
        "lamp",
        "food",
        "fruit",
        "bread",
        "bottle",
        "plate",
        "hammer",
        "engine",
        "computer",
        "keyboard",
        "paper",
    ),
    *("text", "map", "shirt", "shoe", "hat", "mountain", "sky", "beach", "river", "forest", "snow", "smoke", "stone"),
    *("metal", "wood", "boat", "airplane", "bicycle", "guitar", "clock", "key", "umbrella", "flag", "skin", "shadow"),
)
ERROR_BINS = 10
FARTHEST = 0.7
"""Of the words, those whose nearest label is the least near: what NegLabel keeps."""

Known = Callable[[Tensor], Tensor]
"""From images' unit vectors [B, D] to how sure it is that a label fits [B]."""


def auroc(known: Tensor, unknown: Tensor) -> float:
    """How often an image that a label fits is the surer one of two, one of each kind; a draw is half."""
    ahead = (known[:, None] > unknown[None]).double() + 0.5 * (known[:, None] == unknown[None]).double()
    return float(ahead.mean())


def calibration_error(known: Tensor, unknown: Tensor) -> float:
    """The mean gap between the probability of "no label fits" [B] and how often that is so, over ten bins of it, where
    half of the images are unknown.
    """
    said = torch.cat([known, unknown]).double()
    gap = torch.cat([(0 - known) / len(known), (1 - unknown) / len(unknown)]).double() / 2
    bins = (said * ERROR_BINS).long().clamp(max=ERROR_BINS - 1)
    return float(torch.zeros(ERROR_BINS).double().index_add(0, bins, gap).abs().sum())


def noise(count: int) -> Iterator[Image.Image]:
    """Single pixels, soft blots, and one colour, in turns."""
    rng = np.random.default_rng(0)
    for number in range(count):
        side = (64, 8, 1)[number % 3]
        pixels = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        yield Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)


def photographs(count: int) -> Iterator[Image.Image]:
    """Square crops of a temple and of a flower, in turns."""
    rng = np.random.default_rng(0)
    photos = [np.asarray(Image.open(DATA / name)) for name in ("china.jpg", "flower.jpg")]
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(rng.integers(120, min(photo.shape[:2])))
        top, left = (int(rng.integers(0, size - side)) for size in photo.shape[:2])
        yield Image.fromarray(photo[top : top + side, left : left + side])


def judges(clip: Clip, labels: Tensor) -> dict[str, Known]:
    """What is served, and the two that were tried beside it: the labels' mass in a softmax against negatives."""
    scale = clip.logit_scale / (clip.calibration.temperature or 1.0)

    def served(images: Tensor) -> Tensor:
        scores = (scale * images @ labels.T).softmax(dim=1)
        return 1 - unknown_by_confidence(scores, clip.calibration.unknown)

    def against(negatives: Tensor) -> Known:
        def known(images: Tensor) -> Tensor:
            for_labels, for_others = (torch.logsumexp(scale * images @ each.T, dim=1) for each in (labels, negatives))
            return for_labels - for_others

        return known

    asked = [DEFAULT_HYPOTHESIS_TEMPLATE.format(word) for word in WORDS]
    words = embed_sentences(clip, asked)
    nearness = (words @ labels.T).max(dim=1).values
    farthest = words[nearness.argsort()[: round(FARTHEST * len(words))]]
    background = embed_sentences(clip, [DEFAULT_HYPOTHESIS_TEMPLATE.format(text) for text in BACKGROUND])
    return {
        "served": served,
        "background prompts": against(background),
        "their mean": against(mean_direction([list(background)])),
        "word bank": against(farthest),
    }


def measure(clip: Clip, scenes: int = SCENES, far_images: int = FAR_IMAGES) -> dict[tuple[str, str], dict[str, float]]:
    """AUROC by (task, judge) and kind of unknown images; `known` and `<kind> said` are what is answered as served: the
    shares of images that are called none of these.
    """
    world = World(clip, scenes)
    far: Mapping[str, Tensor] = {
        "pictograms": embed_pictures(clip, (pictogram(1, index)[0] for index in range(far_images))),
        "noise": embed_pictures(clip, noise(far_images)),
        "photographs": embed_pictures(clip, photographs(far_images)),
    }
    figures: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    scale = clip.logit_scale / (clip.calibration.temperature or 1.0)
    for task in (each for each in TASKS if each.name in ASKED):
        labels, asked = embed_labels(clip, task.prompts), world.evaluation_set(task)
        for name, known in judges(clip, labels).items():
            sure = known(asked.embeds)
            figures[task.name, name] |= {kind: auroc(sure, known(images)) for kind, images in far.items()}
        # half of the labels: what the other half shows is drawn like the rest, and none of these
        kept = torch.arange(0, len(labels), 2)
        shown = torch.isin(asked.targets, kept)
        for name, known in judges(clip, labels[kept]).items():
            found = auroc(known(asked.embeds[shown]), known(asked.embeds[~shown]))
            figures[task.name, name]["labels left out"] = found
        said = {"known": asked.embeds, **{f"{kind} said": images for kind, images in far.items()}}
        for kind, images in said.items():
            scores = (scale * images @ labels.T).softmax(dim=1)
            rows = with_unknown(scores, unknown_by_confidence(scores, clip.calibration.unknown))
            figures[task.name, "served"][kind] = float((rows.argmax(dim=1) == len(labels)).float().mean())
        for kind, images in far.items():
            for name, calibration in (("raw", None), ("served", clip.calibration.unknown)):
                halves = (
                    unknown_by_confidence((scale * each @ labels.T).softmax(dim=1), calibration)
                    for each in (asked.embeds, images)
                )
                figures[task.name, name][f"{kind} error"] = calibration_error(*halves)
    return figures


def report(figures: Mapping[tuple[str, str], Mapping[str, float]]) -> str:
    """The figures as Markdown."""
    kinds = ("pictograms", "noise", "photographs", "labels left out")
    names = [name for name in dict.fromkeys(name for _, name in figures) if name != "raw"]
    tasks = list(dict.fromkeys(task for task, _ in figures))
    lines = [
        "# None of these\n",
        "`python -m benchmarks.learning.unknown` wrote this file, of the small checkpoint in model/shipped.\n",
        "Known are images of the rendered world that one of the labels fits; unknown are drawings of another domain,",
        "noise, crops of two photographs, and images of the world whose label was left out",
        "(every second one). AUROC: how often the known one of two images is the surer one; 0.5 is chance.\n",
        "## AUROC, mean over the tasks\n",
        _row("", *kinds),
        _row(*["---"] * (len(kinds) + 1)),
    ]
    for name in names:
        mean = (sum(figures[task, name][kind] for task in tasks) / len(tasks) for kind in kinds)
        lines.append(_row(name, *(f"{value:.3f}" for value in mean)))
    lines += ["\n## AUROC of what is served, by task\n", _row("", *kinds), _row(*["---"] * (len(kinds) + 1))]
    lines += (_row(task, *(f"{figures[task, 'served'][kind]:.3f}" for kind in kinds)) for task in tasks)
    said = ("known", *(f"{kind} said" for kind in kinds[:3]))
    lines += [
        "\n## How often the answer is `none of these`\n",
        _row("", *(kind.removesuffix(" said") for kind in said)),
        _row(*["---"] * (len(said) + 1)),
    ]
    lines += (_row(task, *(f"{figures[task, 'served'][kind]:.0%}" for kind in said)) for task in tasks)
    lines += [
        "\n## Calibration error where half of the images are unknown: the raw confidence → as served\n",
        _row("", *kinds[:3]),
        _row(*["---"] * len(kinds)),
    ]
    for task in tasks:
        errors = ([figures[task, name][f"{kind} error"] for name in ("raw", "served")] for kind in kinds[:3])
        lines.append(_row(task, *(f"{raw:.2f} → {served:.2f}" for raw, served in errors)))
    lines += [
        "\nThe curve was fitted on validation images of the rendered world, asked without their label and without",
        "another one: none of these unknown images were among them.",
        "\nThe negatives tell less than the labels' own confidence here, so they are not served: the small checkpoint",
        "has never learnt what such words mean. A CLIP of photographs may be another matter; none was measured.",
    ]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the small checkpoint and write the report."""
    REPORT.write_text(report(measure(Clip(load_checkpoint(ROOT / "model/shipped")))), encoding="utf-8")


if __name__ == "__main__":
    main()
