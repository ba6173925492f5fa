import json
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.hyperparameters import Hyperparameters
from contract.models import Model
from contract.problems import Conflict
from contract.trainings import Training
from lambdas.aws.s3 import Store
from lambdas.snapshot import main as snapshot
from lambdas.snapshot.main import take_snapshot
from lambdas.stored.registry import Registry
from model.data.readers import read_dataset
from model.data.reference import read_reference
from tests.lambdas.annotate.test_annotations import image, post, said, send
from tests.lambdas.conftest import CONTEXT, SETTINGS, Call
from tests.model.conftest import tiny_processor

ID = "20260101000000-00000a"
SHARE = Hyperparameters(validation_share=0.3)


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(SETTINGS.data_bucket, lambda service: bucket.meta.client)


@pytest.fixture
def artifacts(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket of the registry."""
    monkeypatch.setenv("ARTIFACTS_BUCKET", "wordsight-artifacts")
    bucket.meta.client.create_bucket(Bucket="wordsight-artifacts")
    return Store("wordsight-artifacts", lambda service: bucket.meta.client)


def channel(bucket: Any, folder: Path, manifest: str = "channel.manifest") -> Path:
    """What SageMaker puts into a channel's folder for a ManifestFile."""
    (prefix, *names) = json.loads(bucket.Object(f"snapshots/{ID}/{manifest}").get()["Body"].read())
    assert prefix == {"prefix": f"s3://{bucket.name}/"}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        bucket.download_file(name, str(folder / name))
    return folder


def test_training_reads_what_was_annotated(annotate: Call, bucket: Any, store: Store, tmp_path: Path) -> None:
    post(
        annotate,
        said(image(1), sentences=["a red weld", "damaged"], split="train", dataset="welds"),
        said(image(1), label="crack", task="defect", split="train", dataset="welds"),
        said(image(2), label="pore", task="defect", sentences="a small hole", split="validation", dataset="welds"),
        said(image(3), label="fine", dataset="welds"),
        said(image(4), label="other", dataset="others"),
    )
    taken = take_snapshot(store, "welds", ID, Hyperparameters(validation_share=0.5), force=True)
    assert (taken.records, taken.images) == (4, {"train": 2, "validation": 1})
    dataset = read_dataset(channel(bucket, tmp_path))
    assert not dataset.ignored_fields
    records = {record.image.removeprefix("images/"): record for record in dataset.records}
    first, second, third = (records.pop(sha256(image(number)).hexdigest()) for number in (1, 2, 3))
    assert not records
    assert set(first.captions) == {"a red weld", "damaged"} and "a crack" in first.wordings
    assert (first.labels, first.split) == ({"defect": "crack"}, "train")
    assert (second.captions, second.labels, second.split) == (("a small hole",), {"defect": "pore"}, "validation")
    assert (third.labels, third.split) == ({"label": "fine"}, "train")
    assert (tmp_path / first.image).read_bytes() == image(1)


def test_a_snapshot_is_the_same_for_the_same_annotations_and_another_after_an_edit(
    annotate: Call, store: Store
) -> None:
    ids = [each["id"] for each in post(annotate, *(said(image(n), label="cat") for n in range(4))).json]
    first = take_snapshot(store, "default", ID, SHARE, force=True)
    assert take_snapshot(store, "default", "20260101000000-00000b", SHARE, force=True) == first
    send(annotate, "PUT", f"/annotations/{ids[0]}", {"label": "dog"})
    assert take_snapshot(store, "default", ID, SHARE, force=True).digest != first.digest


@pytest.mark.parametrize("splits", [[], [None], ["train"] * 5, ["validation"] * 5, ["train", "validation"]])
def test_a_dataset_from_which_nothing_can_be_learnt_is_refused(
    annotate: Call, bucket: Any, store: Store, splits: list[str | None]
) -> None:
    if splits:
        post(annotate, *(said(image(n), label="cat", split=split) for n, split in enumerate(splits)))
    with pytest.raises(Conflict, match=r"'default' has \d images to train on and \d for validation"):
        take_snapshot(store, "default", ID, Hyperparameters(validation_share=0.5), force=True)
    assert not list(bucket.objects.filter(Prefix="snapshots/"))


@pytest.mark.usefixtures("artifacts")
@pytest.mark.parametrize(
    ("hyperparameters", "kept_back"),
    [({"validation_share": "0.9"}, range(40, 60)), ({"validation_share": "0.25"}, range(7, 25))],
)
def test_the_state_machine_calls_it_with_an_accepted_training(
    annotate: Call, bucket: Any, hyperparameters: dict[str, str], kept_back: range
) -> None:
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2]) for n in range(60)))
    training = Training(
        id=ID,
        created="",
        version="v",
        dataset="default",
        base_version="base",
        base_s3_uri="s3://none/",
        max_runtime_s=600,
        spot=False,
        hyperparameters=hyperparameters,
    )
    event = {"training": training.model_dump(mode="json"), "channels": [{"ChannelName": "train"}]}
    answer = snapshot.handler(event, CONTEXT)  # type: ignore[arg-type]
    assert answer["records"] == 60 and answer["images"]["validation"] in kept_back
    body = bucket.Object(f"snapshots/{ID}/manifest.jsonl").get()["Body"].read()
    assert answer["digest"] == sha256(body).hexdigest()
    assert (answer["old_images"], answer["channels"]) == (0, [{"ChannelName": "train"}]), "there is nothing old"
    assert not list(bucket.objects.filter(Prefix=f"snapshots/{ID}/old"))


def test_what_the_gate_can_not_let_pass_is_told_before_a_machine_starts_unless_it_is_forced(
    annotate: Call, bucket: Any, store: Store
) -> None:
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2], split="validation") for n in range(3)))
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2], split="train") for n in range(10, 20)))
    with pytest.raises(Conflict, match=r"the gate needs 9 validation images .* there are 3: needs 6 more"):
        take_snapshot(store, "default", ID, Hyperparameters())
    assert not list(bucket.objects.filter(Prefix="snapshots/"))
    assert take_snapshot(store, "default", ID, Hyperparameters(), force=True).images == {"train": 10, "validation": 3}


def test_a_reference_set_is_a_channel_of_its_own_without_the_datasets_images(
    annotate: Call, bucket: Any, store: Store, tmp_path: Path
) -> None:
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2]) for n in range(40)))
    own = [each.key for each in bucket.objects.filter(Prefix="images/")]
    for number in range(35):
        bucket.put_object(Key=f"images/{number:064x}", Body=image(100 + number))
    taken = take_snapshot(store, "default", ID, SHARE, force=True, reference_s3_prefix="images/")
    body = bucket.Object(f"snapshots/{ID}/reference.manifest").get()["Body"].read()
    prefix, *names = json.loads(body)
    assert prefix == {"prefix": f"s3://{bucket.name}/"} and taken.reference_images == len(names) == 35
    assert not {*names} & {*own} and all(name.startswith("images/") for name in names)
    assert not {*names} & {*json.loads(bucket.Object(f"snapshots/{ID}/channel.manifest").get()["Body"].read())[1:]}
    dataset = read_dataset(channel(bucket, tmp_path))
    assert len(dataset.records) == 40
    again = take_snapshot(store, "default", ID, SHARE, force=True, reference_s3_prefix="images/")
    assert again == taken and bucket.Object(f"snapshots/{ID}/reference.manifest").get()["Body"].read() == body


def test_a_reference_sets_images_are_asked_the_saved_tasks_of_that_moment(
    annotate: Call, bucket: Any, store: Store, tmp_path: Path
) -> None:
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2]) for n in range(40)))
    fog = {"label": "fog", "annotations": ["a foggy street", "grey haze"]}
    weather = {"candidate_labels": ["rain", fog], "hypothesis_template": "{} here", "description": "the yard"}
    assert send(annotate, "PUT", "/tasks/weather", weather).status == 201
    assert send(annotate, "PUT", "/tasks/pets", {"candidate_labels": "cat, dog"}).status == 201
    bucket.put_object(Key="tasks/", Body=b"")  # S3's console makes it of a new folder
    for number in range(35):
        bucket.put_object(Key=f"collections/{number}.png", Body=image(100 + number))
    taken = take_snapshot(store, "default", ID, SHARE, force=True, reference_s3_prefix="collections/")
    assert send(annotate, "DELETE", "/tasks/weather").status == 204
    folder = channel(bucket, tmp_path, "reference.manifest")
    found = read_reference(
        folder, tiny_processor(), frozenset(), ["Cat", "dog"], limit_bytes=10**9, folder=None, threads=1
    )
    assert taken.reference_images == 35
    assert found.questions == {"weather": (("rain here",), ("a foggy street", "grey haze"))}


def test_a_reference_set_that_has_gone_meanwhile_ends_the_training_before_a_machine_starts(
    annotate: Call, bucket: Any, store: Store
) -> None:
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2]) for n in range(40)))
    bucket.put_object(Key="collections/1.png", Body=image(100))
    with pytest.raises(Conflict, match="under 'collections/' there are 1 images that the dataset does not have"):
        take_snapshot(store, "default", ID, SHARE, force=True, reference_s3_prefix="collections/")
    assert not list(bucket.objects.filter(Prefix="snapshots/"))


def test_what_the_bases_training_kept_back_becomes_a_channel_beside_the_new_dataset(
    annotate: Call, bucket: Any, artifacts: Store, tmp_path: Path
) -> None:
    pets = {"dataset": "pets", "task": "animal"}
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2], split="validation", **pets) for n in range(30, 50)))
    post(annotate, *(said(image(n), label=("cat", "dog")[n % 2], split="train", **pets) for n in range(30)))
    post(annotate, *(said(image(n), label=("oak", "elm")[n % 2]) for n in range(40, 100)))
    first = Training(
        **{"id": "20250101000000-00000a", "created": "", "version": "v1", "dataset": "pets", "base_version": "base"},
        **{"base_s3_uri": "s3://none/", "max_runtime_s": 600, "spot": False},
    )
    second = first.model_copy(update={"id": ID, "version": "v2", "dataset": "default", "base_version": "v1"})
    assert snapshot.handler({"training": first.model_dump(mode="json")}, CONTEXT)["channels"] == []  # type: ignore[arg-type]
    Registry(artifacts).add(
        Model(
            **{"version": "v1", "parent": "base", "artifact_s3_uri": "s3://b/models/v1/", "created": "2025"},
            **{"source": "training", "training": first.id, "dataset": "pets"},
        )
    )
    event = {"training": second.model_dump(mode="json")}
    for forgetful in ({"init": "scratch"}, {"data": "world"}):
        alone = {**event["training"], "hyperparameters": forgetful, "force": True}
        told = snapshot.handler({"training": alone}, CONTEXT)  # type: ignore[arg-type]
        assert (told["old_images"], told["channels"]) == (0, []), "nothing could be forgotten"
    late = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: 0})
    assert snapshot.handler(event, late)["old_images"] == 0  # type: ignore[arg-type]
    answer = snapshot.handler(event, CONTEXT)  # type: ignore[arg-type]
    (old,) = answer["channels"]
    assert old["ChannelName"] == "old"
    assert old["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{bucket.name}/snapshots/{ID}/old.manifest"
    records = read_dataset(channel(bucket, tmp_path, "old.manifest")).records
    assert answer["old_images"] == len(records) >= 10
    assert {name for record in records for name in record.labels} == {"animal of pets"}
    assert {record.split for record in records} == {"test"}
    manifest = bucket.Object(f"snapshots/{ID}/manifest.jsonl").get()["Body"].read().decode().splitlines()
    trained = {line["image"] for line in map(json.loads, manifest) if line["split"] == "train"}
    assert not {f"s3://{bucket.name}/{record.image}" for record in records} & trained
    assert all((tmp_path / record.image).is_file() for record in records)
