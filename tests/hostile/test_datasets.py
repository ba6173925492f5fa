"""Every folder of the corpus, read in all three ways: sent by the command line, imported from the bucket, and read by
training. Each reads the same, and tells what it left out.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.texts import same_to_the_model
from lambdas.annotate.main import create_app
from model.data.readers import read_dataset
from model.data.records import DataError
from tests.hostile.datasets import FAMILIES, Case, Row, image
from tests.lambdas.annotate.test_annotations import keys
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT
from tests.lambdas.gateway import served
from tests.lambdas.importer.conftest import Worker
from tests.lambdas.sagemaker import SageMaker
from wordsight.__main__ import main

pytestmark = pytest.mark.slow


Family = Callable[[], Iterator[tuple[str, Case]]]
NUMBERS = {hashlib.sha256(image(number)).hexdigest(): number for number in range(200)}
"""Of images by their sha256."""
IN_A_SHARD = re.compile(r"\.tar/(?:.*/)?(?:(\d)|0\.(\d)5)\.png$")
Known = tuple[int, str | None, frozenset[str]]
"""A number, the label and the sentences, as the model reads them."""


@dataclass(frozen=True)
class Read:
    """What one way in has made of a folder: what is known of which image, and whether it told that something is not."""

    known: frozenset[Known]
    told: bool


def known(row: Row) -> Known:
    label = None if row.label is None else same_to_the_model(row.label)
    return row.number, label, frozenset(map(same_to_the_model, row.sentences))


def wrong_with(case: Case, read: Read) -> str:
    """What is, or nothing."""
    must = frozenset(map(known, case.rows))
    more = {found for found in read.known - must if found[0] not in case.maybe}
    if missing := must - read.known:
        return f"not read: {sorted(missing, key=str)}"[:300] + (f", but {sorted(more, key=str)}"[:200] if more else "")
    if more:
        return f"read beside it: {sorted(more, key=str)}"[:300]
    is_left = case.bad or not case.rows or case.maybe - {number for number, *_ in read.known}
    return "left out without a word" if is_left and not read.told else ""


def check(family: Family, read: Callable[[str, Case], Read]) -> None:
    """Read every folder of the family. Raises AssertionError with all that was read wrongly."""
    wrong = {}
    for number, (name, case) in enumerate(family()):
        if fault := wrong_with(case, read(f"{family.__name__}-{number}".replace("_", "-"), case)):
            wrong[name] = fault
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def laid_out(folder: Path, case: Case) -> Path:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    return folder


def records(worker: Worker, dataset: str) -> frozenset[Known]:
    """What is kept of a dataset."""
    found = worker.store.read_all(keys(worker.bucket, f"annotations/{dataset}/"))
    return frozenset(_of_record(record.value) for record in found)


def _of_record(record: dict[str, Any]) -> Known:
    said = (NUMBERS[record["image"]], record["label"], tuple(record["sentences"]))
    return known(Row(*said))


def test_there_are_as_many_as_there_should_be() -> None:
    assert sum(len(list(family())) for family in FAMILIES) >= 60


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_training_reads_it(tmp_path: Path, family: Family) -> None:
    def read(name: str, case: Case) -> Read:
        folder = laid_out(tmp_path / name, case)
        try:
            dataset = read_dataset(folder)
        except DataError as error:
            return Read(frozenset(), told=len(str(error)) > 20)
        there = [record for record in dataset.records if _number(case, record.image) is not None]
        is_said = any(row.sentences for row in case.rows)  # where nothing is, a label's wordings are
        found = frozenset(
            known(Row(_number(case, each.image) or 0, _label(each.labels), each.captions if is_said else ()))
            for each in there
        )
        return Read(found, told=bool(getattr(dataset, "faults", ())) or len(there) < len(dataset.records))

    check(family, read)


def _number(case: Case, name: str) -> int | None:
    """Of the image, by its place below the folder or in a shard."""
    content = case.files.get(name)
    if content is None and (within := IN_A_SHARD.search(name)):
        return int(within[1] or within[2])
    return None if content is None else NUMBERS.get(hashlib.sha256(content).hexdigest())


def _label(labels: dict[str, str]) -> str | None:
    return next(iter(labels.values()), None)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_an_import_reads_it(worker: Worker, family: Family) -> None:
    def read(name: str, case: Case) -> Read:
        worker.upload({f"{name}/{file}": content for file, content in case.files.items()})
        worker.ask(s3_prefix=f"uploads/{name}/", dataset=name)
        done = worker.work()
        return Read(records(worker, name), told=done.problems > 0 or bool(done.reason) or done.records == 0)

    check(_in_the_bucket(family), read)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_command_line_reads_it(
    worker: Worker, sagemaker: SageMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str], family: Family
) -> None:
    app = create_app(ANNOTATE_SETTINGS, sagemaker.connect)
    with served(lambda event: app.resolve(event, CONTEXT)) as url:  # type: ignore[arg-type]

        def read(name: str, case: Case) -> Read:
            folder = laid_out(tmp_path / name, case)
            status = main(["annotate", str(folder), "--dataset", name, "--url", url, "--api-key", "key"], {})
            return Read(records(worker, name), told=status != 0 and len(capsys.readouterr().err) > 20)

        check(_in_the_bucket(family), read)


def _in_the_bucket(family: Family) -> Family:
    """Without the layouts that training alone reads."""

    def of_all() -> Iterator[tuple[str, Case]]:
        return ((name, case) for name, case in family() if not case.training_alone)

    of_all.__name__ = family.__name__
    return of_all
