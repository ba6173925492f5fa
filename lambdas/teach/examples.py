"""Which annotated images teach a task what."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contract.annotations import Annotation
from contract.questions import Question
from contract.texts import same_to_the_model
from lambdas.stored.annotations import READ_AT_ONCE, AnnotationStore
from lambdas.teach.vectors import Tell

READ_ANNOTATIONS = 20_000
"""That are looked at for one task: several times what one is taught, in less than a minute."""
KEPT_BACK = ("validation", "test")
"""Splits that nothing is to be learnt from, as training does."""


class Said(NamedTuple):
    """What of an annotation teaches. `label`: as the model reads it."""

    id: str
    dataset: str
    image: str
    label: str | None
    task: str | None
    split: str | None


@dataclass(frozen=True)
class Example:
    """An annotation that teaches a task: `label` is the place of its label in the question."""

    said: Said
    label: int


class Annotations:
    """All that is said, and which of it has changed: what has not is not read again by the same process."""

    def __init__(self, store: AnnotationStore) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Said]] = {}

    def read(self, states: Mapping[str, str], tell: Tell) -> list[Said]:
        """What the records say whose etags are given by their keys, the first READ_ANNOTATIONS of them. `tell` hears
        that it goes on.
        """
        some = dict([*states.items()][:READ_ANNOTATIONS])
        self._known = {key: known for key, known in self._known.items() if some.get(key) == known[0]}
        new = [key for key in some if key not in self._known]
        for start in range(0, len(new), READ_AT_ONCE):
            for document in self._store.read_keys(new[start : start + READ_AT_ONCE]):
                self._known[document.key] = (document.etag, said_by(document.value))
            tell(None)
        return [self._known[key][1] for key in some if key in self._known]


def said_by(annotation: Annotation) -> Said:
    """What of it teaches."""
    label = None if annotation.label is None else same_to_the_model(annotation.label)
    return Said(annotation.id, annotation.dataset, annotation.image, label, annotation.task, annotation.split)


def examples_of(task: str, question: Question, said: Sequence[Said]) -> list[Example]:
    """The annotations that teach a task: those with one of its labels, if they name no other task. Each image teaches a
    label once, and none teaches of which anybody said that it is for validation or a test.
    """
    places = {same_to_the_model(label.label): place for place, label in enumerate(question.candidate_labels)}
    kept_back = {each.image for each in said if each.split in KEPT_BACK}
    found: dict[tuple[str, int], Example] = {}
    for each in said:
        place = None if each.label is None else places.get(each.label)
        if place is not None and each.task in (None, task) and each.image not in kept_back:
            found.setdefault((each.image, place), Example(each, place))
    return list(found.values())


def sample(examples: Sequence[Example], most: int) -> list[Example]:
    """At most so many, of every label as many as there are of any, if it has them; always the same ones."""
    by_label: dict[int, list[Example]] = defaultdict(list)
    for each in sorted(examples, key=lambda each: each.said.id):
        by_label[each.label].append(each)
    ranked = sorted(
        ((rank, each.said.id, each) for of_label in by_label.values() for rank, each in enumerate(of_label)),
        key=lambda each: each[:2],
    )
    return [each for _, _, each in ranked[:most]]


def counts(examples: Iterable[Example], question: Question) -> dict[str, int]:
    """By label: how many images it has."""
    found = Counter(each.label for each in examples)
    return {label.label: found[place] for place, label in enumerate(question.candidate_labels)}


def digest(question: str, model_version: str, examples: Sequence[Example]) -> str:
    """sha256 of all that a lesson depends on; `question` names its words."""
    said = sorted((each.said.image, each.said.id, each.label) for each in examples)
    return hashlib.sha256(json.dumps([question, model_version, said]).encode()).hexdigest()
