"""The same folder gives the same records at the command line, in an import and in a training."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from contract.imports import AnnotationImport
from contract.layouts.find import find_layout
from contract.layouts.found import Cursor, Findings, Layout
from contract.layouts.places import Directory, Place
from contract.layouts.rows import Row, read_all, rows_from
from contract.layouts.said import Said
from model.data.class_wording import said_in_training
from model.data.quarantine import quarantine
from model.data.readers import read_dataset
from model.data.records import LABEL_FIELD
from tests.contract.layouts.cases import CASES, Case, image
from tests.lambdas.conftest import _account_that_is_nobodys, _s3, bucket  # noqa: F401, what the fixtures here need
from tests.lambdas.importer.conftest import Worker
from tests.wordsight.conftest import Shell, System, shell, system  # noqa: F401

TASK = "thing"

Record = tuple[tuple[str, ...], dict[str, str], str | None]
"""Sentences in their order, labels by task, and the split."""


def expected(case: Case) -> dict[str, Record]:
    """By the sha256 of the image."""
    return {
        hashlib.sha256(image(name)).hexdigest(): (
            sentences,
            {} if labels is None else labels if isinstance(labels, dict) else {TASK: labels},
            split,
        )
        for name, (sentences, labels, split) in case.records.items()
    }


def written(case: Case, folder: Path) -> Path:
    for name in case.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(case.content(name))
    return folder


def stored(system: System, dataset: str) -> dict[str, Record]:  # noqa: F811
    found: dict[str, Record] = {}
    for each in system.store.read_all(list(system.store.keys(f"annotations/{dataset}/"))):
        said = each.value
        sentences, labels, _ = found.get(said["image"], ((), {}, None))
        named = {said["task"]: said["label"]} if said["label"] is not None else {}
        found[said["image"]] = ((*sentences, *said["sentences"]), labels | named, said["split"])
    return found


def in_order(records: dict[str, Record]) -> dict[str, Record]:
    return {name: (tuple(sorted(sentences)), labels, split) for name, (sentences, labels, split) in records.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_command_line_sends_what_the_folder_says(
    name: str,
    tmp_path: Path,
    shell: Shell,  # noqa: F811
    system: System,  # noqa: F811
) -> None:
    case = CASES[name]
    ran = shell("annotate", written(case, tmp_path), "--dataset", "pets", "--task", TASK)
    assert in_order(stored(system, "pets")) == in_order(expected(case))
    told = [line.strip().split(": ")[0] for line in ran.err.splitlines() if line.startswith("  ")]
    assert sorted(told) == sorted((*case.problems, *case.absent))
    assert ran.status == (1 if told else 0)
    left_out = [int(line.split()[2]) for line in ran.err.splitlines() if line.startswith("left out: ")]
    assert sum(left_out) == case.left_out + case.unnamed


def imported(case: Case, system: System) -> AnnotationImport:  # noqa: F811
    worker = Worker(system.bucket, system.sagemaker)
    worker.upload({f"set/{name}": case.content(name) for name in case.files})
    worker.ask(s3_prefix="uploads/set/", dataset="imported", task=TASK)
    return worker.work()


@pytest.mark.parametrize("name", CASES)
def test_an_import_stores_what_the_folder_says(name: str, system: System) -> None:  # noqa: F811
    case = CASES[name]
    done = imported(case, system)
    assert in_order(stored(system, "imported")) == in_order(expected(case))
    places = [each.place.removeprefix("uploads/set/") for each in done.first_problems]
    assert sorted(places) == sorted((*case.problems, *case.absent))
    assert (done.state, done.stored + done.problems) == ("done", done.records)
    left_out = [times for why, times in done.findings.left_out.items() if "no row names" not in why]
    assert sum(left_out) == case.left_out


@pytest.mark.parametrize("name", CASES)
def test_a_training_is_shown_what_the_folder_says(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    directory = written(case, tmp_path)
    dataset = read_dataset(directory)
    sums: dict[str, str] = {}
    readable, bad = quarantine(
        directory, dataset.records, lambda name, data: sums.update({name: hashlib.sha256(data).hexdigest()}), 1.0, 1
    )
    found: dict[str, Record] = {}
    for record in readable:
        assert record.wordings == tuple(text for label in record.labels.values() for text in said_in_training(label))
        labels = {TASK if task == LABEL_FIELD else task: label for task, label in record.labels.items()}
        found[sums[record.image]] = (record.captions, labels, record.split)
    assert found == expected(case)
    assert sorted(fault.place for fault in dataset.faults) == sorted(case.problems)
    assert len(bad) == len(case.absent)
    assert sum(dataset.findings.left_out.values()) == case.left_out + case.unnamed


def killed_between_steps(place: Place) -> tuple[list[Row], Findings]:
    """Every row read by a reader of its own, which goes on where the one before it stopped."""
    findings = Findings()
    layout = Layout.model_validate_json(find_layout(place, findings).model_dump_json())
    rows: list[Row] = []
    cursor = Cursor()
    while row := next(rows_from(place, layout, findings, cursor), None):
        rows.append(row)
        cursor = Cursor.model_validate_json(row.behind.model_dump_json())
        findings = Findings.model_validate_json(findings.model_dump_json())
    return rows, findings


@pytest.mark.parametrize("name", CASES)
def test_reading_goes_on_behind_any_row(name: str, tmp_path: Path) -> None:
    place = Directory(written(CASES[name], tmp_path))
    whole = read_all(place)
    rows, findings = killed_between_steps(place)
    assert rows == whole.rows
    assert (findings.notes, findings.spellings) == (whole.findings.notes, whole.findings.spellings)


def test_a_row_of_more_labels_or_sentences_than_a_record_has_is_several_annotations(tmp_path: Path) -> None:
    row = {"image": "1.jpg", "captions": [f"sentence {n}" for n in range(65)], "labels": {"a": "x", "b": "y", "c": "z"}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (found,) = read_all(Directory(tmp_path)).rows
    assert isinstance(found.said, Said)
    bodies = list(found.said.annotations(None, "train", Findings()))
    assert [(len(body["sentences"]), body["task"], body["label"], body["split"]) for body in bodies] == [
        (64, "a", "x", "train"),
        (1, "b", "y", "train"),
        (0, "c", "z", "train"),
    ]


def test_a_name_that_is_no_text_is_told_and_escaped(tmp_path: Path) -> None:
    for name in (b"cat/caf\xe9.jpg", b"cat/1.jpg", b"dog/2.jpg", b"d\xf6g/3.jpg"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    rows = read_all(Directory(tmp_path)).rows
    assert [row.place for row in rows if isinstance(row.said, str)] == ["cat/caf\\udce9.jpg", "d\\udcf6g/3.jpg"]
    assert all("rename it" in row.said for row in rows if isinstance(row.said, str))
