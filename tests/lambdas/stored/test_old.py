"""What was labelled before a training, as it is found in the registry, in snapshots and in annotations."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from math import inf
from typing import Any

import pytest

from contract.models import BASE, Model
from contract.questions import check_task_name
from lambdas.aws.s3 import Store
from lambdas.stored import old
from lambdas.stored.old import asked_as, labelled_before, lineage, lines
from lambdas.stored.registry import Registry
from tests.lambdas.annotate.test_annotations import image, post, said
from tests.lambdas.conftest import SETTINGS, Call


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(SETTINGS.data_bucket, lambda service: bucket.meta.client)


def model(version: str, parent: str | None = None, dataset: str | None = None) -> Model:
    """One that was trained under its own name, if on a dataset."""
    return Model(
        version=version,
        parent=parent,
        artifact_s3_uri=f"s3://b/models/{version}/",
        created="2026",
        source="training" if dataset else "import",
        training=version if dataset else None,
        dataset=dataset,
    )


def keep_snapshot(bucket: Any, training: str, said: Sequence[tuple[int, str, dict[str, Any]]]) -> None:
    """Of images by their numbers, splits and labels; the images are there."""
    rows = []
    for number, split, labels in said:
        digest = sha256(image(number)).hexdigest()
        bucket.put_object(Key=f"images/{digest}", Body=image(number))
        rows.append({"image": f"s3://{bucket.name}/images/{digest}", "split": split, "id": "0", **labels})
    body = "\n".join(map(json.dumps, rows)).encode()
    bucket.put_object(Key=f"snapshots/{training}/manifest.jsonl", Body=body)


def shas(*numbers: int) -> list[str]:
    return [sha256(image(number)).hexdigest() for number in numbers]


def test_the_lineage_is_the_base_with_those_that_it_came_from() -> None:
    def found(version: str | None, *models: Model) -> list[str]:
        return [each.version for each in lineage({each.version: each for each in models}.get, version)]

    models = [BASE, model("one", "base", "a"), model("two", "one", "b"), model("other", "base", "c")]
    assert found("two", *models) == ["two", "one", "base"]
    assert found(None, *models) == found("gone", *models) == []
    assert found("a", model("a", "b"), model("b", "a")) == ["a", "b"], "a circle ends"
    many = [model(str(number), str(number + 1)) for number in range(100)]
    assert len(found("0", *many)) == old.MAX_ANCESTORS


def test_a_base_that_is_called_as_at_a_hub_ends_the_lineage(store: Store) -> None:
    registry = Registry(store)
    registry.add(model("one", "org/name@3d74acf9a28c", "a"))
    registry.add(model("two", "one", "b"))
    assert [each.version for each in lineage(registry.find, "two")] == ["two", "one"]


def test_what_the_base_was_kept_from_is_asked_again_but_nothing_that_is_trained_on(bucket: Any, store: Store) -> None:
    keep_snapshot(
        bucket,
        "two",
        [
            (1, "train", {"label": "cat"}),
            (2, "validation", {"label": "cat", "labels": {"fur": "long"}}),
            (3, "test", {"label": "dog"}),
            (4, "validation", {"label": "dog"}),
            (5, "validation", {"captions": ["a sentence alone"]}),
        ],
    )
    keep_snapshot(bucket, "one", [(6, "validation", {"labels": {"defect": "pore"}}), (4, "train", {"label": "x"})])
    ancestors = [model("two", "one", "pets"), model("one", "base", "welds"), BASE]
    found = labelled_before(store, ancestors, "new", shas(3), inf)
    assert found == {
        shas(2)[0]: {"the labels of pets": "cat", "fur of pets": "long"},
        shas(6)[0]: {"defect of welds": "pore"},
    }


def test_the_newest_snapshot_of_a_dataset_counts_and_that_of_the_new_dataset_never(bucket: Any, store: Store) -> None:
    keep_snapshot(bucket, "three", [(1, "validation", {"label": "new"})])
    keep_snapshot(bucket, "two", [(2, "validation", {"label": "mended"})])
    keep_snapshot(bucket, "one", [(2, "validation", {"label": "wrong"}), (3, "validation", {"label": "gone"})])
    ancestors = [model("three", "two", "new"), model("two", "one", "pets"), model("one", "base", "pets")]
    assert labelled_before(store, ancestors, "new", [], inf) == {shas(2)[0]: {"the labels of pets": "mended"}}


def test_no_task_can_be_called_as_labels_without_one_are() -> None:
    with pytest.raises(ValueError, match="a saved task's name"):
        check_task_name(asked_as(None, "pets").removesuffix(" of pets"))


def test_an_image_with_several_labels_of_a_task_is_not_asked(annotate: Call, bucket: Any, store: Store) -> None:
    cat, dog = {"label": "cat"}, {"label": "dog"}
    both, alike, other = [(1, "test", cat), (1, "test", dog)], [(2, "test", cat), (2, "test", {"label": "Cat"})], dog
    keep_snapshot(bucket, "one", [*both, *alike, (3, "validation", {**other, "labels": {"fur": "long"}})])
    post(
        annotate,
        *(said(image(4), label=label, task="defect", dataset="field") for label in ("pore", "crack")),
        said(image(5), label="pore", task="defect", dataset="field"),
    )
    bucket.put_object(Key="tasks/defect.json", Body=b"{}")
    assert labelled_before(store, [model("one", "base", "pets")], "new", [], inf) == {
        shas(2)[0]: {"the labels of pets": "cat"},
        shas(3)[0]: {"the labels of pets": "dog", "fur of pets": "long"},
        shas(5)[0]: {"defect of field": "pore"},
    }


def test_a_dataset_counts_where_it_has_something_to_ask(
    annotate: Call, bucket: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old, "MAX_DATASETS", 1)
    keep_snapshot(bucket, "five", [(9, "test", {"captions": ["a sentence alone"]})])
    keep_snapshot(bucket, "three", [(1, "test", {"label": "cat"})])
    keep_snapshot(bucket, "two", [(2, "test", {"label": "dog"})])
    ancestors = [
        *(model("five", "four", "told"), model("four", "three", "pets"), model("three", "two", "pets")),
        model("two", "base", "beyond"),
    ]
    post(annotate, *(said(image(n), label="pore", task="defect", dataset=name) for n, name in enumerate("wxy", 3)))
    post(annotate, said(image(8), label="pore", task="colour", dataset="a"))
    post(annotate, said(image(8), label="pore", task="defect", dataset="beyond"))
    bucket.put_object(Key="tasks/defect.json", Body=b"{}")
    assert labelled_before(store, ancestors, "new", [], inf) == {
        shas(1)[0]: {"the labels of pets": "cat"},  # the newest snapshot of pets is gone
        shas(3)[0]: {"defect of w": "pore"},
    }


def test_the_largest_sets_share_what_may_be_asked(bucket: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old, "MAX_OLD_SETS", 3)
    monkeypatch.setattr(old, "MAX_OLD_IMAGES", 10)
    sizes = {"a": 7, "b": 1, "c": 2, "d": 9}
    numbers = iter(range(100))
    rows = [(next(numbers), "test", {"labels": {task: "x"}}) for task, size in sizes.items() for _ in range(size)]
    keep_snapshot(bucket, "one", rows)
    found = labelled_before(store, [model("one", "base", "pets")], "new", [], inf)
    assert Counter(name for labels in found.values() for name in labels) == {
        **{"c of pets": 2, "a of pets": 4},
        "d of pets": 4,
    }


def test_when_the_time_is_up_nothing_more_is_looked_for(annotate: Call, bucket: Any, store: Store) -> None:
    post(annotate, said(image(1), label="pore", task="defect", dataset="field"))
    bucket.put_object(Key="tasks/defect.json", Body=b"{}")
    assert labelled_before(store, [], "new", [], inf)
    assert labelled_before(store, [], "new", [], time.monotonic()) == {}
    keep_snapshot(bucket, "one", [(2, "test", {"label": "cat"})])
    assert labelled_before(store, [model("one", "base", "pets")], "new", [], time.monotonic()) == {}


def test_what_is_gone_is_left_out(bucket: Any, store: Store) -> None:
    keep_snapshot(bucket, "two", [(1, "validation", {"label": "cat"}), (2, "validation", {"label": "dog"})])
    bucket.Object(f"images/{shas(1)[0]}").delete()
    ancestors = [model("two", "one", "pets"), model("one", "base", "erased")]
    assert [*labelled_before(store, ancestors, "new", [], inf)] == shas(2)
    assert labelled_before(store, [BASE], "new", [], inf) == {}


def test_saved_tasks_are_asked_what_other_datasets_say_for_them(annotate: Call, bucket: Any, store: Store) -> None:
    post(
        annotate,
        said(image(1), label="crack", task="defect", split="train", dataset="field"),
        said(image(2), label="pore", task="defect", dataset="field"),
        said(image(3), label="red", task="colour", dataset="field"),
        said(image(4), label="pore", dataset="field"),
        said(image(5), label="pore", task="defect", dataset="new"),
        said(image(6), label="pore", task="defect", dataset="pets"),
    )
    keep_snapshot(bucket, "one", [(2, "train", {"label": "cat"}), (7, "validation", {"label": "dog"})])
    ancestors = [model("one", "base", "pets")]
    of_pets = {shas(7)[0]: {"the labels of pets": "dog"}}
    assert labelled_before(store, ancestors, "new", [], inf) == of_pets, "no task is saved"
    bucket.put_object(Key="tasks/defect.json", Body=b"{}")
    found = labelled_before(store, ancestors, "new", [], inf)
    assert found == {**of_pets, shas(1)[0]: {"defect of field": "crack"}}


def test_of_many_images_the_same_sample_is_taken(bucket: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_snapshot(bucket, "one", [(number, "validation", {"label": "cat"}) for number in range(12)])
    monkeypatch.setattr(old, "MAX_IMAGES", 5)
    first = labelled_before(store, [model("one", "base", "pets")], "new", [], inf)
    assert len(first) == 5 and first == labelled_before(store, [model("one", "base", "pets")], "new", [], inf)
    written = [json.loads(line) for line in lines("b", first)]
    assert written[0] == {
        **{"image": f"s3://b/images/{min(first)}", "split": "test"},
        "labels": {"the labels of pets": "cat"},
    }
