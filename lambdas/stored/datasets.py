"""What a training would find in a dataset, image by image, and whether anything can come of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from contract.annotations import STRICTEST, Annotation, Split
from contract.gain import ENOUGH_IMAGES, fewest_images, missing_images
from contract.hyperparameters import Hyperparameters
from contract.problems import shorten
from contract.texts import same_to_the_model
from lambdas.stored.splits import assign_splits

MIN_TRAIN_IMAGES = 2
FEW_IMAGES = 16
"""Of a label: the most that few-shot studies of CLIP train on, where more is still better (Zhou et al. 2022, CoOp)."""
NAMED_LABELS = 5

Labels = dict[str, dict[str, dict[str, int]]]
"""Images of each split by task and label; "" stands for no task."""


@dataclass(frozen=True)
class Findings:
    """`splits`: of every image, by its sha256. `telling`: validation images of which not all is true that is said of
    validation images, so that a model can be right or wrong. `alike`: of how many validation images the same is said, a
    label if there is one. `only_text`: what is said of all images to train on,
    if that is all. `drawn`: whether the validation images are a share of the others. `leaking` and `contradicting`:
    how many images were given splits that don't go together, as `Assigned` has them.
    """

    dataset: str
    splits: Mapping[str, Split]
    labels: Labels = field(default_factory=dict)
    telling: int = 0
    alike: tuple[int, ...] = ()
    only_text: str | None = None
    drawn: bool = False
    leaking: int = 0
    contradicting: int = 0

    @property
    def images(self) -> dict[str, int]:
        """How many there are in each split."""
        return dict(Counter[str](self.splits.values()))

    @property
    def train(self) -> int:
        return self.images.get("train", 0)

    @property
    def validation(self) -> int:
        return self.images.get("validation", 0)


def survey(dataset: str, annotations: Sequence[Annotation], validation_share: float) -> Findings:
    """Count what a snapshot of these annotations would hold."""
    assigned = assign_splits(annotations, validation_share)
    splits = assigned.splits
    spellings: dict[str, str] = {}
    said: dict[str, set[str]] = defaultdict(set)
    labels_of: dict[str, set[tuple[str, str]]] = defaultdict(set)
    labelled: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in annotations:
        for text in (*each.sentences, *([] if each.label is None else [each.label])):
            said[each.image].add(same_to_the_model(text))
            spellings.setdefault(same_to_the_model(text), text)
        if each.label is not None:
            labelled[each.task or ""][same_to_the_model(each.label)].add(each.image)
            labels_of[each.image].add((each.task or "", same_to_the_model(each.label)))
    of_validation = [said[image] for image, split in splits.items() if split == "validation"]
    asked = len(set[str]().union(*of_validation))
    trained = set[str]().union(*(said[image] for image, split in splits.items() if split == "train"))
    answers = Counter(
        frozenset[object](labels_of[image] or said[image]) for image, split in splits.items() if split == "validation"
    )
    return Findings(
        dataset,
        splits,
        {
            task: {
                spellings[label]: dict(Counter[str](splits[image] for image in images)) for label, images in of.items()
            }
            for task, of in labelled.items()
        },
        telling=sum(len(texts) < asked for texts in of_validation),
        alike=tuple(answers.values()),
        only_text=spellings[next(iter(trained))] if len(trained) == 1 else None,
        drawn=not any(each.split == "validation" for each in annotations),
        leaking=assigned.leaking,
        contradicting=assigned.contradicting,
    )


def unlearnable(found: Findings) -> list[str]:
    """Why no training can begin with this dataset; most often nothing."""
    if found.train >= MIN_TRAIN_IMAGES and found.validation:
        return []
    return [
        f"the dataset {found.dataset!r} has {found.train} images to train on and {found.validation} for validation, "
        f"at least {MIN_TRAIN_IMAGES} and 1 are needed: POST /annotations adds some; images that look the same count "
        "as one"
    ]


def hopeless(found: Findings, asked: Hyperparameters) -> list[str]:
    """Why the gate could not let the model pass, whatever it learns, with what is missing in numbers."""
    if asked.data == "world" or asked.init == "scratch":
        told = "data=world" if asked.data == "world" else "init=scratch"
        return [f"with {told} the gate refuses the model, for it judges what was fine-tuned on a dataset"]
    reasons = []
    if found.only_text is not None:
        reasons.append(
            f"all {found.train} images to train on say the same, {shorten(found.only_text)!r}, and there is "
            "nothing to tell it from: annotate images of another label too, or with other sentences"
        )
    if missing := missing_images(found.alike):
        share = asked.validation_share
        drawn = f", or about {ceil(missing / share):,} images without a split, of which {share:.0%} are drawn for it"
        few = f"there are {found.validation}" if found.telling else f"at {found.validation} a model can't be wrong"
        reasons.append(
            f"the gate needs {found.validation + missing} validation images at least to tell a better model from luck, "
            f"and {few}: needs {missing} more{_of_labels(found)}. Annotate them with the split "
            f"validation{drawn if found.drawn else ''}"
        )
    return reasons


def needed_images(found: Findings) -> int:
    """How many validation images the gate needs, if what is missing is added."""
    missing = missing_images(found.alike)
    return found.validation + missing if missing else fewest_images()


def scarce(found: Findings) -> list[str]:
    """What is likely to make a poor model of this dataset."""
    few, absent = [], []
    for of_task in found.labels.values():
        for label, images in of_task.items():
            if (count := images.get("train", 0)) < FEW_IMAGES:
                few.append((count, f"needs {FEW_IMAGES - count} more of {shorten(label)!r}, which has {count}"))
            if not images.get("validation"):
                absent.append(repr(shorten(label)))
    sentences = []
    if few:
        named = [sentence for _, sentence in sorted(few)]
        sentences.append(f"to train on, at least {FEW_IMAGES} images of a label are better: {_first(named)}")
    if 0 < found.validation < ENOUGH_IMAGES:
        sentences.append(
            f"with {found.validation} validation images the gate may refuse a better model; with {ENOUGH_IMAGES} one "
            "that is right about 20 % more of them mostly passes: "
            f"{ENOUGH_IMAGES - found.validation} more are better"
        )
    if absent:
        sentences.append(f"no validation image shows whether these are learnt: {_first(absent)}")
    if found.leaking:
        sentences.append(
            f"{found.leaking:,} images that were given to training look like one that was given to validation or test, "
            "as if they had been saved again: they are trained on, and make the model seem better than it is"
        )
    if found.contradicting:
        sentences.append(
            f"{found.contradicting:,} images were given several splits: the first of {', '.join(STRICTEST)} counts"
        )
    return sentences


def _of_labels(found: Findings) -> str:
    """The labels of which validation has none, or else the fewest."""
    counts = {
        label: images.get("validation", 0) for of_task in found.labels.values() for label, images in of_task.items()
    }
    if len(counts) < 2:
        return ""
    fewest = min(counts.values())
    named = [repr(shorten(label)) for label, count in counts.items() if count == fewest]
    return f", for example of {_first(named)}" if len(named) < len(counts) else ""


def _first(named: Sequence[str]) -> str:
    more = len(named) - NAMED_LABELS
    return "; ".join(named[:NAMED_LABELS]) + (f"; and {more:,} more" if more > 0 else "")
