"""What annotated images teach a task at once, without a training: benchmarks/teach.md.

    make learn-report                              also every fine-tuning, of which benchmarks/learning.md tells
    DATA=photographs make learn-report             with photographs of your own: train/<class>/ and test/<class>/
    python -m benchmarks.learning.teach [FOLDER …]

Embeddings of the small checkpoint as it is shipped, made once. Tasks that it knows are the rendered world's; tasks that
it does not know are digits, pictograms, and photographs. What a fine-tuning by a few digits makes of them is kept
in .bench/learn.
"""

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.learning.domains import digits, more_pictograms, write_images
from benchmarks.learning.job import run_job
from benchmarks.learning.other_heads import gaussians, logistic, nearest_mean, ridge, tip_adapter
from benchmarks.learning.report import COMMON
from benchmarks.machine import machine
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.head import fit_head
from model.clip.scoring import with_unknown
from model.data.readers import read_records
from model.evaluation.answers import embed_labels
from model.evaluation.chart import Axis, Series, line_chart
from model.evaluation.labelled import EmbeddedImages
from model.evaluation.report import markdown
from model.evaluation.teaching import (
    DRAWS,
    EACH,
    HEAD,
    SERVED,
    WORDS,
    Figures,
    Learnt,
    Method,
    TeachingSet,
    learn,
    learnt_table,
    served_scale,
    teaching_set,
)
from model.evaluation.world import World
from model.world.tasks import TASKS

REPORT = REPORTS / "teach.md"
CHARTS = {"accuracies": "teach-accuracy.svg", "calibration_errors": "teach-calibration.svg"}
SCENES = 3000
MANY_LABELS = 50
"""A task with more has less than ten scenes a label."""
METHODS: Mapping[str, Method] = {
    "nearest mean": nearest_mean,
    "ridge": ridge,
    "Tip-Adapter": tip_adapter,
    "GDA": gaussians,
    "logistic from the words": logistic,
}
HONEST = (WORDS, "nearest mean", "Tip-Adapter", "GDA", "logistic from the words", HEAD, SERVED)
"""Whose scores can be taken for probabilities."""
TUNED, TUNED_EACH = "digits", 16
"""What is also fine-tuned, in minutes, by so many images of each class."""
ERROR_RATE = 0.1
TIMED = (10, 200, 512)
"""Labels, images of each, and numbers of an embedding."""


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning by TUNED_EACH images of each class made of a task, published as it is by default."""

    accuracy: float
    calibration_error: float
    cpu_s: float


@dataclass(frozen=True)
class Errors:
    """With a tenth of wrong labels, at TUNED_EACH images of each class: accuracy of the head and of ridge regression,
    and how many of the most doubtful annotations, as many as are wrong, are.
    """

    head: float
    ridge: float
    found: float


@dataclass(frozen=True)
class Unknown:
    """With half of the labels taught by TUNED_EACH images each: the share of images that are answered as unknown."""

    fitting: float
    other: float
    elsewhere: float


@dataclass(frozen=True)
class Findings:
    """All of one task. `is_known`: the words know it."""

    name: str
    is_known: bool
    learnt: Learnt
    errors: Errors | None = None
    tuned: Tuned | None = None
    unknown: Unknown | None = None


@dataclass(frozen=True)
class Bar:
    """What is asked, what was found, and whether it does."""

    asked: str
    found: str
    holds: bool


ACCURACIES = {"pictograms": {16: 0.73, 200: 0.88}, "signs": {16: 0.45, 100: 0.64}, "neu": {16: 0.80, 200: 0.88}}
"""What is asked of some sets, by images of each class; `neu` and `signs` where a folder of photographs is called so."""
WORST_CALIBRATION, CALIBRATED_EACH = 0.08, 16
WORST_LOSS, WORSE, SHARE_WORSE = 0.02, 0.02, 0.05
MOST_CPU_S = 1.0


def known_set(world: World, name: str) -> TeachingSet:
    """A task of the world, taught by its validation images."""
    (task,) = (task for task in TASKS if task.name == name)
    train, test = world.evaluation_set(task, task.validation_split), world.evaluation_set(task)
    return TeachingSet(task.labels, train, test, embed_labels(world.clip, task.prompts), world.clip.background)


def set_of(clip: Clip, folder: Path) -> TeachingSet:
    """Photographs, or drawings as files."""
    return teaching_set(clip, EmbeddedImages(clip, folder, read_records(folder)))


def with_errors(found: TeachingSet, scale: float) -> Errors | None:
    """None where there are too few images."""
    labels = len(found.texts)
    if int(one_hot(found.train.targets, labels).sum(dim=0).min()) < TUNED_EACH or labels < 3:
        return None
    by_head, by_ridge, doubted = Figures(), Figures(), []
    for seed in range(DRAWS):
        rows = found.draw(TUNED_EACH, seed)
        images, right = found.train.embeds[rows], found.train.targets[rows]
        generator = torch.Generator().manual_seed(seed)
        wrong = torch.randperm(len(rows), generator=generator)[: round(ERROR_RATE * len(rows))]
        told = right.clone()
        told[wrong] = (right[wrong] + torch.randint(1, labels, wrong.shape, generator=generator)) % labels
        lesson = fit_head(images, told, found.texts, scale, found.background)
        by_head.add(lesson.head.logits(found.test.embeds), found.test.targets)
        by_ridge.add(ridge(images, told, found.texts, scale, found.test.embeds), found.test.targets)
        doubtful = lesson.doubts.topk(len(wrong)).indices
        doubted.append(float((told != right)[doubtful].float().mean()))
    return Errors(fmean(by_head.accuracies), fmean(by_ridge.accuracies), fmean(doubted))


def with_strangers(found: TeachingSet, elsewhere: Tensor, scale: float) -> Unknown | None:
    """`elsewhere`: vectors of images that are nothing of the task [B, d]. None where there are too few to be taught."""
    labels, shares = len(found.texts), []
    if int(one_hot(found.train.targets, labels).sum(dim=0).min()) < TUNED_EACH or labels < 4:
        return None
    for seed in range(DRAWS):
        half = torch.randperm(labels, generator=torch.Generator().manual_seed(seed))[: labels // 2].sort().values
        rows = found.draw(TUNED_EACH, seed)
        rows = rows[torch.isin(found.train.targets[rows], half)]
        targets = torch.searchsorted(half, found.train.targets[rows])
        head = fit_head(found.train.embeds[rows], targets, found.texts[half], scale, found.background).head
        fit = torch.isin(found.test.targets, half)
        of_kinds = []
        for images in (found.test.embeds[fit], found.test.embeds[~fit], elsewhere):
            logits = head.logits(images)
            scores = with_unknown(logits.softmax(dim=1), head.unknown(images, logits))
            of_kinds.append(float((scores.argmax(dim=1) == len(half)).float().mean()))
        shares.append(of_kinds)
    return Unknown(*map(fmean, zip(*shares, strict=True)))


def fine_tuned(folder: Path, found: TeachingSet, work: Path) -> Tuned:
    """By the training program with its defaults, and the first draw of images."""
    train = work / "train"
    shutil.rmtree(train, ignore_errors=True)
    for row in found.draw(TUNED_EACH, 0).tolist():
        label = found.labels[int(found.train.targets[row])]
        (train / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / found.paths[row], train / label / Path(found.paths[row]).name)
    job = run_job(work / "job", train, SHIPPED, COMMON)
    tuned = Clip(load_checkpoint(job.model_dir))
    again, figures = set_of(tuned, folder), Figures()
    figures.add(served_scale(tuned) * again.test.embeds @ again.texts.T, again.test.targets)
    return Tuned(figures.accuracies[0], figures.calibration_errors[0], job.cpu_s)


def cpu_seconds() -> float:
    """That a head takes to be fitted, of random images."""
    labels, each, width = TIMED
    draws = torch.Generator().manual_seed(0)
    places, targets = torch.randn(labels, width, generator=draws), torch.arange(labels).repeat_interleave(each)
    images = normalize(places[targets] + 3 * torch.randn(len(targets), width, generator=draws), dim=1)
    background = torch.cov(torch.randn(width, 2 * width, generator=draws))
    begun = time.process_time()
    fit_head(images, targets, normalize(places, dim=1), 30.0, background)
    return time.process_time() - begun


def bars(findings: Sequence[Findings], cpu_s: float) -> list[Bar]:
    """Each as it is served, in the mean of the draws unless it says otherwise."""
    served = {each.name: each.learnt[SERVED] for each in findings}
    found = [
        Bar(f"{name}, {each} images of each class: accuracy at least {least:.2f}", f"{got:.3f}", got >= least)
        for name, by in served.items()
        for each, least in ACCURACIES.get(name.lower(), {}).items()
        if each in by
        for got in (fmean(by[each].accuracies),)
    ]
    errors = {
        f"{name} at {each}": fmean(figures.calibration_errors)
        for name, by in served.items()
        for each, figures in by.items()
        if each >= CALIBRATED_EACH
    }
    if errors:
        worst = max(errors, key=lambda each: errors[each])
        asked = f"calibration error with {CALIBRATED_EACH} images of each class or more at most {WORST_CALIBRATION}"
        found.append(Bar(asked, f"{errors[worst]:.3f} ({worst})", errors[worst] <= WORST_CALIBRATION))
    known = [each.learnt for each in findings if each.is_known]
    counts = [each for each in EACH if known and all(each in by[SERVED] for by in known)]
    lost = {
        each: fmean(fmean(by[WORDS][each].accuracies) - fmean(by[SERVED][each].accuracies) for by in known)
        for each in counts
    }
    if lost:
        worst_each = max(lost, key=lambda each: lost[each])
        asked = f"tasks that the words know lose at most {WORST_LOSS} in their mean, by any number of images"
        told = f"{lost[worst_each]:+.3f} lost with {worst_each}"
        found.append(Bar(asked, told, lost[worst_each] <= WORST_LOSS))
    share = worse_share(findings, SERVED)
    asked = f"worse than the words by more than {WORSE} in at most {SHARE_WORSE:.0%} of all draws"
    found.append(Bar(asked, f"{share:.1%}", share <= SHARE_WORSE))
    labels, each, width = TIMED
    asked = f"{labels} labels with {each} images of {width} numbers take at most {MOST_CPU_S:g} CPU s"
    return [*found, Bar(asked, f"{cpu_s:.2f} s", cpu_s <= MOST_CPU_S)]


def worse_share(findings: Sequence[Findings], method: str) -> float:
    """Of the draws of all tasks, in how many a method answers worse than the words by more than WORSE."""
    worse = [
        accuracy < words - WORSE
        for each in findings
        for count, figures in each.learnt[method].items()
        for accuracy, words in zip(figures.accuracies, each.learnt[WORDS][count].accuracies, strict=True)
    ]
    return fmean(worse)


def mean_of(findings: Sequence[Findings]) -> Learnt:
    """The mean over tasks, draw by draw, of as many images as all of them have."""
    counts = [each for each in EACH if all(each in found.learnt[WORDS] for found in findings)]
    return {
        method: {
            each: Figures(
                *(
                    [
                        fmean(of_draw)
                        for of_draw in zip(
                            *(getattr(found.learnt[method][each], kind) for found in findings), strict=True
                        )
                    ]
                    for kind in CHARTS
                )
            )
            for each in counts
        }
        for method in findings[0].learnt
    }


def chart(learnt: Learnt, kind: str, methods: Sequence[str], what: str) -> str:
    """Accuracy or calibration error over the images of each class, as SVG."""
    lines = {name: [(each, fmean(getattr(of, kind))) for each, of in learnt[name].items()] for name in methods}
    highest = max(value for points in lines.values() for _, value in points)
    axis = Axis(what, 0.0, 1.0 if highest > 0.5 else 0.5)
    last = max(each for points in lines.values() for each, _ in points)
    series = [Series(name, points) for name, points in lines.items()]
    return line_chart(f"{what}, mean of the tasks that the words do not know", _each_axis(last), axis, series)


def _each_axis(last: float) -> Axis:
    return Axis("annotated images of each class", 1, max(last, 2), log=True)


def report(findings: Sequence[Findings], cpu_s: float, base: str) -> str:
    """As Markdown."""
    new, known = ([each for each in findings if each.is_known == is_known] for is_known in (False, True))
    checked = bars(findings, cpu_s)
    missed = sum(not each.holds for each in checked)
    sections = [
        f"""# What annotated images teach at once

`make learn-report` wrote this file. Base: `{base}`. {machine()}; one thread.

A head on frozen embeddings (`model/clip/head.py`), beside what others do with these and a fine-tuning: accuracy on
images that were held out, asked in wordings that no training used, in the mean of {DRAWS} draws, with fixed seeds, of
so many images of each class. Nothing is chosen for a task or by other images. `{SERVED}` is what the API
answers: where leaving images out shows no gain over the words, as where every class has one, these answer.""",
        f"## What is asked of it\n\n{len(checked) - missed} of {len(checked)} hold.\n\n"
        + markdown(
            ["asked", "found", ""], [[each.asked, each.found, "pass" if each.holds else "miss"] for each in checked]
        ),
        f"The head itself, without asking for a gain, is worse than the words by more than {WORSE} in "
        f"{worse_share(findings, HEAD):.1%} of the draws.",
    ]
    if new:
        names = ", ".join(each.name for each in new)
        sections.append(f"## Tasks that the words do not know\n\nThe mean of {names}.")
        sections.append(learnt_table(mean_of(new), HONEST))
        sections += [f"![{kind.replace('_', ' ')}]({name})" for kind, name in CHARTS.items()]
    sections += [_section(each) for each in new]
    if known:
        sections.append(f"## Tasks that the words know\n\nThe mean of {', '.join(each.name for each in known)}.")
        sections.append(learnt_table(mean_of(known), HONEST))
        header = ["task", "images of each class", WORDS, HEAD, SERVED]
        rows = [
            [each.name, str(count), *(f"{fmean(each.learnt[name][count].accuracies):.3f}" for name in header[2:])]
            for each in known
            for count in each.learnt[WORDS]
        ]
        sections.append(markdown(header, rows))
    return "\n\n".join(sections) + "\n"


def _section(found: Findings) -> str:
    parts = [f"## {found.name.capitalize()}", learnt_table(found.learnt, HONEST)]
    if tuned := found.tuned:
        parts.append(
            f"Fine-tuned by {TUNED_EACH} images of each class, by default and as published: accuracy "
            f"{tuned.accuracy:.3f}, calibration error {tuned.calibration_error:.3f}, in {tuned.cpu_s:.0f} CPU seconds."
        )
    if errors := found.errors:
        parts.append(
            f"With {ERROR_RATE:.0%} wrong labels, {TUNED_EACH} images of each class: accuracy {errors.head:.3f}, ridge "
            f"{errors.ridge:.3f}; of the most doubtful annotations, as many as are wrong, {errors.found:.0%} are."
        )
    if unknown := found.unknown:
        parts.append(
            f"With half of the labels, taught by {TUNED_EACH} images each, `none of these` is the best answer for "
            f"{unknown.fitting:.0%} of the images that one of them fits, {unknown.other:.0%} of those of the other "
            f"labels, and {unknown.elsewhere:.0%} of the other tasks' images."
        )
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all, and write the report and its charts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.teach", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="photographs: train/<class>, test/<class>"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clip = Clip(load_checkpoint(SHIPPED))
    scale, work = served_scale(clip), BENCH / "learn/teach"
    for name, splits in {"digits": digits, "pictograms": more_pictograms}.items():
        write_images(splits(), work / name)
    findings = []
    sets = {folder: set_of(clip, folder) for folder in (work / "digits", work / "pictograms", *given.folders)}
    for folder, found in sets.items():
        elsewhere = torch.cat([other.test.embeds for name, other in sets.items() if name != folder])
        tuned = fine_tuned(folder, found, work / "tuned" / TUNED) if folder == work / TUNED else None
        learnt, unknown = learn(found, scale, METHODS), with_strangers(found, elsewhere, scale)
        findings.append(Findings(folder.name, False, learnt, with_errors(found, scale), tuned, unknown))
        print(f"{folder.name}: done", flush=True)
    world = World(clip, SCENES)
    for task in TASKS:
        if task.validation_split and len(task.labels) < MANY_LABELS:
            findings.append(Findings(task.name, True, learn(known_set(world, task.name), scale, METHODS)))
            print(f"{task.name}: done", flush=True)
    mean = mean_of([each for each in findings if not each.is_known])
    for kind, name, methods, what in (
        ("accuracies", CHARTS["accuracies"], [WORDS, *METHODS, HEAD], "accuracy"),
        ("calibration_errors", CHARTS["calibration_errors"], HONEST[:-1], "calibration error"),
    ):
        (REPORTS / name).write_text(chart(mean, kind, methods, what))
    REPORT.write_text(report(findings, cpu_seconds(), clip.version))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
