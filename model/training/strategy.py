"""strategy=auto: whether a dataset is worth a training at all, and of what; found out before anything is trained.

The towers of the base read at most CHOSEN_BY_IMAGES of the labelled images to train on once. All that is compared are
answers to images that were left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import torch
from torch import Tensor
from torch.optim import AdamW

from contract.metrics import Chosen, Strategy
from contract.schedule import CHOSEN_BY_IMAGES
from contract.verdict import percent
from model.clip.architecture import visual_projection
from model.clip.encode import Clip
from model.clip.head import fit_head
from model.data.batch import Batch, one_of_each
from model.data.examples import ManifestExamples
from model.data.records import membership, some_of
from model.evaluation.answers import BATCH, embed_labels, embed_sentences
from model.evaluation.labelled import LabelledTask, own_tasks
from model.evaluation.report import print_figures
from model.evaluation.teaching import served_scale
from model.training.distributed import Ranks
from model.training.loss import contrastive_loss
from model.training.optimizer import rate_share
from model.training.prefetch import Prefetcher
from model.training.projection import Kept, Reader, new_examples, projected, projection_of
from model.training.recipe import Recipe
from model.training.reference import Referenced
from model.training.start import Start
from model.training.state import StateFolder

FOLDS = 3
MAX_TEXTS = 2000
"""Of labels' wordings, that the projection is cross-validated with; of more labels fewer wordings are taken."""
FULL_IMAGES = 12
"""Of a label, in the median: with as many to train on, training all weights has halved what a head gets wrong. In
unseen wordings, on the small checkpoint: of 16 pictograms of each class, less a tenth for validation, .08 in place of
.21, of 16 digits .08 in place of .20, of 50 pictograms .03 in place of .10; but of 5 pictograms .45 in place of .44.
"""
WORTH_IT = 0.05
"""An error that is smaller nobody trains all weights for: what is left then is mostly labels that are wrong, and the
gate could hardly tell the better model from luck.
"""


@dataclass(frozen=True)
class Errors:
    """Shares of wrong answers to images left out, in the mean over the tasks; `projection`: None where the base has
    none. `head`: of what answers without a training, so of the words where a head shows no gain.
    """

    words: float
    head: float
    projection: float | None


def decide(errors: Errors, images_per_label: float) -> Chosen:
    """The cheapest way whose error no dearer one is expected to halve. The projection is expected to do what it did in
    cross-validation; all weights to halve what either leaves, if that is more than WORTH_IT and the labels have
    FULL_IMAGES in the median.
    """
    best = min(errors.head, errors.head if errors.projection is None else errors.projection)
    if best > WORTH_IT and images_per_label >= FULL_IMAGES:
        return "full"
    halved = errors.projection is not None and errors.head > 0 and errors.projection <= errors.head / 2
    return "projection" if halved else "head"


def choose(start: Start, ranks: Ranks) -> Strategy:
    """What is to be trained, and why. Every process finds the same, or all train all weights."""
    start.checkpoint.model.to(ranks.device)
    found = _chosen(start)
    unlike = ranks.any(found.chosen == "full") and found.chosen != "full"
    if ranks.any(unlike):
        found = Strategy(chosen="full", sentence="All weights are trained: the processes found different figures.")
    if ranks.is_first:
        print_figures(**found.model_dump(exclude={"sentence"}, exclude_none=True))
        print(found.sentence, flush=True)
    return found


def settled(start: Start, ranks: Ranks, states: StateFolder) -> Start:
    """The same run with the choice that its first start has made, for its states are of that; at first `choose`."""
    found = states.choice()
    is_new = ranks.any(found is None)
    if found is None or is_new:
        found = choose(start, ranks)
    elif ranks.is_first:
        print(f"as before: {found.sentence}", flush=True)
    if ranks.is_first:
        states.remember(found)  # what was taken over by force, too
    return replace(decided(start, found.chosen or "full", ranks), strategy=found)


def decided(start: Start, chosen: Chosen, ranks: Ranks) -> Start:
    """The same run with the choice made. Where a head does, no step is made. A rate and a number of steps are meant for
    all weights: the projection has its own.
    """
    asked, examples = start.recipe.asked, start.examples
    told = asked.model_copy(update={"strategy": "full"})
    if chosen == "projection":
        told = asked.model_copy(update={"strategy": "projection", "learning_rate": None, "steps": None})
    reference = len(examples.reference.learnt) if isinstance(examples, Referenced) else 0
    images = len(new_examples(examples))
    recipe = Recipe.resolve(told, start.checkpoint, images, ranks, reference).model_copy(update={"asked": asked})
    return replace(start, recipe=recipe.model_copy(update={"steps": 0}) if chosen == "head" else recipe)


def _chosen(start: Start) -> Strategy:
    new = new_examples(start.examples)
    tasks = own_tasks([new.records[row] for row in new.train_rows]) if isinstance(new, ManifestExamples) else []
    if not isinstance(new, ManifestExamples) or not tasks:
        return Strategy(
            chosen="full",
            sentence="All weights are trained: the images have no labels, by which cheaper ways could be compared.",
        )
    labelled = [row for row in new.train_rows if any(task.is_about([new.records[row]]) for task in tasks)]
    rows = some_of(labelled, CHOSEN_BY_IMAGES, new.seed)
    counts = [n for task in tasks for n in _counts(task, new, labelled) if n]
    errors = _errors(start, new, tasks, rows)
    per_label = median(counts)
    chosen = decide(errors, per_label)
    return Strategy(
        chosen=chosen,
        sentence=_sentence(chosen, errors, len(rows), per_label),
        images=len(rows),
        images_per_label=per_label,
        words=round(errors.words, 4),
        head=round(errors.head, 4),
        projection=None if errors.projection is None else round(errors.projection, 4),
    )


def _counts(task: LabelledTask, new: ManifestExamples, rows: Sequence[int]) -> list[int]:
    numbers = [number for row in rows if (number := task.number_of(new.records[row])) is not None]
    return torch.tensor(numbers, dtype=torch.long).bincount(minlength=len(task.labels)).tolist()


def _sentence(chosen: Chosen, errors: Errors, images: int, per_label: float) -> str:
    head = f"a head on the base's embeddings gets {percent(1 - errors.head)} of {images:,} images right, each left out"
    other = ""
    if errors.projection is not None:
        other = f", and the visual projection, trained, {percent(1 - errors.projection)}"
    why = {
        "head": "Nothing is trained: annotated images already answer as well without a training",
        "projection": "The visual projection alone is trained: it halves what annotated images get wrong without one",
        "full": "All weights are trained: that is expected to halve what the cheaper ways get wrong",
    }
    told = {"head": " These are the base's weights; a saved task with these images as annotations answers so."}
    return f"{why[chosen]}: {head}{other}. A label has {per_label:g} images in the median.{told.get(chosen, '')}"


def _errors(start: Start, new: ManifestExamples, tasks: Sequence[LabelledTask], rows: Sequence[int]) -> Errors:
    model, clip, scale = start.checkpoint.model, Clip(start.checkpoint), served_scale(Clip(start.checkpoint))
    alone = Ranks(0, 1, model.device)
    pictures = Prefetcher(start.examples, start.checkpoint.processor, alone, start.recipe.threads)
    by_projection: Tensor | None = None
    if visual_projection(model) is None:
        embeds = _embedded(clip, pictures, rows)
    else:
        reader = Reader(model, start.checkpoint.processor, pictures)
        base, features = projection_of(model).weight.detach().clone(), reader.features(rows)
        embeds, kept = projected(features, base).cpu(), reader.kept(base, start.examples)
        recipe = decided(start, "projection", alone).recipe
        by_projection = left_out(recipe, new, rows, features, kept, clip).cpu()
    pictures.close()
    words, heads, projections = list[float](), list[float](), list[float]()
    for task in tasks:
        numbers = [task.number_of(new.records[row]) for row in rows]
        asked = [place for place, number in enumerate(numbers) if number is not None]
        targets = torch.tensor([number for number in numbers if number is not None])
        if not asked:
            continue
        texts = embed_labels(clip, task.prompts)
        lesson = fit_head(embeds[asked], targets, texts, scale, clip.background)
        by_words = embeds[asked] @ texts.T
        words.append(_wrong(by_words, targets))
        heads.append(_wrong(lesson.logits if lesson.has_gain else by_words, targets))
        if by_projection is not None:
            projections.append(_wrong(by_projection[asked] @ texts.T, targets))
    return Errors(fmean(words), fmean(heads), fmean(projections) if projections else None)


def _embedded(clip: Clip, pictures: Prefetcher, rows: Sequence[int]) -> Tensor:
    """Whole images as unit vectors. shape = [rows, D]"""
    parts = (tuple(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH))
    return torch.cat([clip.embed_images(torch.from_numpy(pictures.pixels(part))) for part in parts])


def left_out(
    recipe: Recipe, new: ManifestExamples, rows: Sequence[int], features: Tensor, kept: Kept, clip: Clip
) -> Tensor:
    """Images as unit vectors by a projection that has learnt from the others, in FOLDS folds. shape = [rows, D]"""
    said = [new.records[row].wordings for row in rows]
    texts = one_of_each(text for wordings in said for text in wordings)
    texts = texts[:: -(-len(texts) // MAX_TEXTS)]
    positives = membership(said, texts)
    known = new.truth.known(rows, texts, positives)
    vectors = embed_sentences(clip, texts).to(features.device)
    found = torch.empty(len(rows), vectors.shape[1], device=features.device)
    fold_of = torch.arange(len(rows)) % FOLDS
    for fold in range(FOLDS):
        shown, asked = fold_of != fold, fold_of == fold
        if not shown.any() or not asked.any():
            continue
        batch = Batch((), texts, positives[shown], None if known is None else known[shown])
        found[asked] = projected(features[asked], _learnt(recipe, batch, features[shown], vectors, kept, clip))
    return found


def _learnt(recipe: Recipe, batch: Batch, features: Tensor, texts: Tensor, kept: Kept, clip: Clip) -> Tensor:
    """The projection that all of a batch leads to in each step."""
    projection, positives = kept.base.clone().requires_grad_(), batch.positives.to(features.device)
    optimizer = AdamW([projection], betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate_share(step, recipe)
        logits = batch.without_unknown(clip.logit_scale * projected(features, projection) @ texts.T)
        loss = contrastive_loss(logits, positives) + recipe.projection_weight * kept.distance(projection)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return projection.detach()


def _wrong(logits: Tensor, targets: Tensor) -> float:
    return float((logits.argmax(dim=1) != targets).float().mean())
