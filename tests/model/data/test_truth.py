"""What is true, false or unknown of images with labels, sentences, both, or several of them."""

from collections.abc import Mapping, Sequence

import torch

from model.data.class_wording import said_in_training
from model.data.records import Record, membership
from model.data.truth import Truth


def record(*captions: str, labels: Mapping[str, str] | None = None, held_out: Sequence[str] = ()) -> Record:
    labels = dict(labels or {})
    wordings = [text for label in labels.values() for text in said_in_training(label)]
    return Record(image="x", captions=captions, wordings=tuple(wordings), labels=labels, held_out=tuple(held_out))


def unknown(records: Sequence[Record], texts: Sequence[str]) -> list[list[int]]:
    """For each text the images of which nobody has said whether it is true."""
    positives = membership([each.said for each in records], texts)
    known = Truth(records).known(range(len(records)), texts, positives)
    if known is None:
        return [[] for _ in texts]
    assert bool((known | ~positives).all()), "what is true is known"
    return [(~known[:, column]).nonzero().flatten().tolist() for column in range(len(texts))]


def test_without_labels_every_other_sentence_is_false() -> None:
    records = [record("one"), record("two")]
    assert Truth(records).known((0, 1), ("one", "two"), torch.eye(2).bool()) is None


def test_siblings_share_a_label_and_differ_in_none() -> None:
    both, other = {"animal": "cat", "place": "sofa"}, {"animal": "cat", "place": "tree"}
    records = [
        record("asleep", labels=both),
        record("awake", labels=both),
        record("climbing", labels=other),
        record("purring", labels={"animal": "cat"}),
        record("nobody knows"),
    ]
    assert unknown(records, ("asleep", "climbing", "purring", "nobody knows")) == [[1, 3], [3], [0, 1, 2], []]


def test_a_labels_wording_is_unknown_of_images_without_a_label_in_its_task() -> None:
    records = [record(labels={"animal": "cat"}), record(labels={"animal": "dog"}), record(labels={"place": "sofa"})]
    records.append(record("asleep"))
    assert unknown(records, ("a cat", "dog", "a sofa")) == [[2, 3], [2, 3], [0, 1, 3]]


def test_a_sentence_that_is_also_a_labels_wording_is_false_of_other_labels() -> None:
    records = [record(labels={"animal": "cat"}), record(labels={"animal": "dog"}), record("a cat"), record("a dog")]
    assert unknown(records, ("a cat", "a dog")) == [[], []]


def test_labels_and_sentences_are_compared_as_the_model_reads_them() -> None:
    records = [record("ASLEEP", labels={"animal": "Cat"}), record("up", labels={"animal": "cat"}), record("so")]
    assert unknown(records, ("asleep", "A CAT")) == [[1], [2]]


def test_a_sentence_of_several_images_is_unknown_of_the_siblings_of_each() -> None:
    labels = [{"animal": name} for name in ("cat", "dog", "cow")]
    records = [record("asleep", labels=each) for each in labels[:2]] + [record("up", labels=each) for each in labels]
    assert unknown(records, ("asleep",)) == [[2, 3]]


def test_what_is_only_asked_of_a_sibling_is_unknown_too() -> None:
    records = [record("up", labels={"animal": "cat"}, held_out=["purring"]), record("on", labels={"animal": "cat"})]
    positives = membership([each.held_out for each in records], ("purring",))
    known = Truth(records).known((0, 1), ("purring",), positives)
    assert known is not None and known.tolist() == [[True], [False]]
