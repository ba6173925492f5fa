"""Facts about a dataset: how much there is, what can't be read, what is there twice, what a model can't spell."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import get_args

from transformers import PreTrainedTokenizerBase

from contract.annotations import Split
from contract.hyperparameters import Hyperparameters
from model.clip.image import open_image
from model.clip.perceptual_hash import Fingerprint, fingerprint, near_duplicates
from model.data.quarantine import Unreadable, check_share, read_each
from model.data.readers import Fault, read_dataset
from model.data.records import DataError, Record, splits_of, training_rows

SPLITS = get_args(Split)
FREQUENT = 5
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Reading:
    """How a tokenizer takes the captions: how many it cuts, and which words it does not know whole."""

    context_length: int
    captions: int
    too_long: int
    words: int
    known_words: int
    frequent_unknown: dict[str, int]


@dataclass(frozen=True)
class Report:
    """What was found in a dataset. `faults` are rows that can't be taken, `left_out` has why files were not read and
    how many, `notes` what was taken otherwise than it is written. Pairs are the names of two images, `labels` is task
    to label to number of images, the most frequent first, and the words of captions are those of the shortest, the
    median and the longest one.
    """

    layout: str
    images: dict[str, int]
    splits_named: bool
    captions: int
    captions_per_image: tuple[int, int]
    words_per_caption: tuple[int, int, int]
    different_captions: int
    most_frequent: str
    most_frequent_images: int
    labels: dict[str, dict[str, int]]
    weights: tuple[float, float]
    ignored_fields: dict[str, int]
    left_out: dict[str, int]
    notes: dict[str, int]
    faults: list[Fault]
    unreadable: list[Unreadable]
    same_file: list[tuple[str, str]]
    same_file_across_splits: list[tuple[str, str]]
    look_alike_across_splits: list[tuple[str, str]]
    reading: Reading | None
    refusal: str | None


def survey(
    directory: Path, chosen: Hyperparameters, tokenizer: PreTrainedTokenizerBase | None, context_length: int
) -> Report:
    """Look at every image and sentence. Raises DataError where the folder can't be read as a dataset at all."""
    dataset = read_dataset(directory)
    records = dataset.records
    opened = read_each(directory, records, _open, chosen.threads)
    names = [record.image for record in records]
    splits = dict(zip(names, splits_of(records, chosen.validation_share, chosen.seed), strict=True))
    images = {name: one for name, one in zip(names, opened, strict=True) if isinstance(one, OpenedImage)}
    unreadable = [one for one in opened if isinstance(one, Unreadable)]
    first: dict[str, str] = {}
    pairs = ((first.setdefault(one.digest, name), name) for name, one in images.items())
    same = [(one, other) for one, other in pairs if one != other]
    said = Counter(sentence for record in records for sentence in record.said)
    words = [len(sentence.split()) for sentence in said.elements()]
    labels: dict[str, Counter[str]] = {}
    for task, label in (item for record in records for item in record.labels.items()):
        labels.setdefault(task, Counter())[label] += 1
    per_image = [len(record.said) for record in records]
    frequent, times = said.most_common(1)[0]
    return Report(
        layout=dataset.layout,
        images={split: count for split in SPLITS if (count := list(splits.values()).count(split))},
        splits_named=any(record.split for record in records),
        captions=sum(per_image),
        captions_per_image=(min(per_image), max(per_image)),
        words_per_caption=(min(words), median_low(words), max(words)),
        different_captions=len(said),
        most_frequent=frequent,
        most_frequent_images=times,
        labels={task: dict(found.most_common()) for task, found in labels.items()},
        weights=(min(record.weight for record in records), max(record.weight for record in records)),
        ignored_fields=dict(dataset.ignored_fields),
        left_out=dataset.findings.left_out,
        notes=dataset.findings.notes,
        faults=dataset.faults,
        unreadable=unreadable,
        same_file=same,
        same_file_across_splits=[(one, other) for one, other in same if splits[one] != splits[other]],
        look_alike_across_splits=_near_duplicates_across(images, splits),
        reading=None if tokenizer is None else read(tokenizer, context_length, said),
        refusal=_refusal([record for record in records if record.image in images], unreadable, chosen),
    )


@dataclass(frozen=True)
class OpenedImage:
    """An image that opens: sha256 of its file, and its fingerprint."""

    digest: str
    fingerprint: Fingerprint


def _open(_: str, data: bytes) -> OpenedImage:
    return OpenedImage(hashlib.sha256(data).hexdigest(), fingerprint(open_image(data)))


def _near_duplicates_across(images: Mapping[str, OpenedImage], splits: Mapping[str, str]) -> list[tuple[str, str]]:
    """Images to measure on that are near duplicates of one to train on. Exactly equal files are among them."""
    train = [name for name in images if splits[name] == "train"]
    kept = [name for name in images if splits[name] != "train"]
    pairs = near_duplicates(*([images[name].fingerprint for name in names] for names in (kept, train)))
    return [(kept[number], train[other]) for number, other in pairs]


def _refusal(readable: Sequence[Record], bad: Sequence[Unreadable], chosen: Hyperparameters) -> str | None:
    try:
        check_share(bad, len(bad) + len(readable), chosen.max_unreadable_share)
        training_rows(readable, chosen.validation_share, chosen.seed)
    except DataError as error:
        return str(error)
    return None


def read(tokenizer: PreTrainedTokenizerBase, context_length: int, said: Mapping[str, int]) -> Reading:
    """Count what a tokenizer cuts off and does not know; `said` is how often each caption occurs."""
    lengths = map(len, tokenizer(list(said), verbose=False)["input_ids"])
    too_long = sum(times for times, length in zip(said.values(), lengths, strict=True) if length > context_length)
    words: Counter[str] = Counter()
    for text, times in said.items():
        for word in WORD.findall(text.lower()):
            words[word] += times
    pieces = tokenizer(list(words), add_special_tokens=False)["input_ids"] if words else []
    unknown = Counter({word: words[word] for word, ids in zip(words, pieces, strict=True) if len(ids) > 1})
    total = words.total()
    return Reading(
        context_length=context_length,
        captions=sum(said.values()),
        too_long=too_long,
        words=total,
        known_words=total - unknown.total(),
        frequent_unknown=dict(unknown.most_common(FREQUENT)),
    )
