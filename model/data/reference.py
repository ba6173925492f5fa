"""A reference set: images of the user's own, of which nothing is said. Part of them is trained on, by what the base
answers, and the others tell how far the answers have moved. Saved tasks may lie beside them, which they are asked.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from contract.documents import json_of
from contract.layouts.places import is_hidden, split_lines
from contract.problems import ProblemError
from contract.questions import Question
from contract.reference import (
    MAX_REFERENCE_PROMPTS,
    MAX_REFERENCE_TASKS,
    REFERENCE_TASKS,
    ReferenceTask,
    kept_back,
    may_be_image,
    sample,
)
from contract.texts import same_to_the_model
from contract.validation import validate
from model.clip.preprocess import ImageProcessor
from model.data.class_wording import spoken
from model.data.images import ImageFiles, RgbImage, open_images
from model.data.quarantine import Unreadable

Sentences = tuple[tuple[str, ...], ...]
"""Of each label of a question those that it is asked in."""


@dataclass(frozen=True)
class ReferenceImages:
    """`learnt` and `kept_back` are names; which is which depends on what the files hold alone. `left_out` could not be
    read; `of_dataset` of the others are left out because the dataset has them, whose answers are to change, and copies
    count once. `questions`: saved tasks, by their names, without the labels that the dataset teaches.
    """

    images: ImageFiles
    learnt: tuple[str, ...]
    kept_back: tuple[str, ...]
    left_out: tuple[Unreadable, ...] = ()
    of_dataset: int = 0
    questions: Mapping[str, Sentences] = field(default_factory=dict)

    def image(self, name: str) -> RgbImage:
        """The RGB image of a name, or what it was resized to."""
        return self.images.image(name)

    def digest(self) -> str:
        """sha256 of what the images that are trained on hold, and of the saved tasks that they are asked."""
        parts = [self.images.digests[name] for name in self.learnt]
        if self.questions:
            parts.append(json.dumps(list(self.questions.values())))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_reference(
    directory: Path,
    processor: ImageProcessor,
    dataset: Set[str],
    labels: Iterable[str] = (),
    *,
    limit_bytes: int,
    folder: Path | None,
    threads: int,
) -> ReferenceImages:
    """A sample of the images in a folder and those below it, and the saved tasks beside them. `dataset`: the sha256 of
    each of the dataset's files; `labels`: what is said of them; `limit_bytes` and `folder`: of decoded images, as
    `open_images` has them.
    """
    names = sample(image_names(directory))
    pictures = open_images(directory, processor, len(names), limit_bytes, folder)

    def read(name: str) -> Unreadable | None:
        try:
            pictures.add(name, (directory / name).read_bytes())
        except (OSError, ProblemError) as error:
            return Unreadable(name, str(error))
        return None

    with pictures.filling(), ThreadPoolExecutor(threads) as pool:
        left_out = [*filter(None, pool.map(read, names))]
    questions = _questions(directory, set(map(_taught_as, labels)), left_out)
    by_digest = {digest: name for name, digest in sorted(pictures.digests.items(), reverse=True)}
    own = sorted(by_digest.keys() - dataset)
    back = kept_back(len(own))
    return ReferenceImages(
        pictures,
        tuple(by_digest[digest] for digest in own[back:]),
        tuple(by_digest[digest] for digest in own[:back]),
        tuple(left_out),
        len(by_digest.keys() & dataset),
        questions,
    )


def _questions(directory: Path, taught: Set[str], left_out: list[Unreadable]) -> dict[str, Sentences]:
    """What each saved task asks. One of which a label is left, or none, can't be asked, nor are those of whose labels
    several may be true: which of these comes first says nothing. What is no task, or would be one too many, is added to
    what is left out.
    """
    found: dict[str, Sentences] = {}
    prompts = 0
    for place, line in _lines(directory):
        try:
            task = validate(ReferenceTask, json_of(line.decode()))
        except (ProblemError, ValueError) as error:
            left_out.append(Unreadable(place, str(error)))
            continue
        asked = _sentences(task.question, taught)
        size = sum(map(len, asked))
        if len(asked) < 2 or task.question.multi_label:
            continue
        if len(found) == MAX_REFERENCE_TASKS or prompts + size > MAX_REFERENCE_PROMPTS:
            most = f"{MAX_REFERENCE_TASKS} saved tasks and {MAX_REFERENCE_PROMPTS:,} sentences of them are asked"
            left_out.append(Unreadable(place, f"at most {most}; {task.name} is one too many"))
        else:
            found[task.name], prompts = asked, prompts + size
    return found


def _lines(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Of every file with saved tasks, and where each is."""
    for name in sorted(name for name in _file_names(directory) if name.rpartition("/")[2] == REFERENCE_TASKS):
        with (directory / name).open("rb") as file:
            yield from ((f"{name}:{line.number}", line.content) for line in split_lines(file))


def _sentences(question: Question, taught: Set[str]) -> Sentences:
    """Of its labels that are not taught."""
    labels = [each for each in question.candidate_labels if _taught_as(each.label) not in taught]
    return tuple(tuple(question.prompts(label)) for label in labels)


def _taught_as(label: str) -> str:
    """The same for labels that training says with the same words: `traffic_light` and "Traffic light"."""
    return same_to_the_model(spoken(label))


def image_names(directory: Path) -> Iterator[str]:
    """The files in a folder and those below it that may be images, as paths from there. Raises OSError."""
    return filter(may_be_image, _file_names(directory))


def _file_names(directory: Path) -> Iterator[str]:
    names: Iterable[str] = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return (name for name in names if not is_hidden(name))
