from types import SimpleNamespace

import pytest

from lambdas.batch.main import Worker
from lambdas.settings import BatchSettings
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell, System


@pytest.fixture
def prefix(system: System) -> str:
    for number in range(4):
        image = b"no image" if number == 2 else JPEG_START + str(number).encode()
        system.bucket.put_object(Key=f"collections/pets/{number}", Body=image)
    return "collections/pets/"


def work(system: System, id: str) -> None:
    """What the state machine does."""
    worker = Worker(BatchSettings(endpoint_name="wordsight-test", data_bucket=SETTINGS.data_bucket), system.connect)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    for shard in worker.take({"step": "plan", "id": id}, context)["shards"]:  # type: ignore[arg-type]
        worker.take({"step": "shard", "id": id, "shard": shard}, context)  # type: ignore[arg-type]


def test_a_batch_is_begun_and_watched_to_its_end(shell: Shell, system: System, prefix: str) -> None:
    begun = shell("batch", "--prefix", prefix, "--labels", "cat,dog", "--json").json
    assert begun["state"] == "planning"
    work(system, begun["id"])
    ran = shell("batch", begun["id"], "--watch")
    assert ran.status == 0 and "4/4 done" in ran.err
    assert "3 in batches/" in ran.out and "1 in batches/" in ran.out
    assert begun["id"] in shell("batch").out


def test_a_batch_is_stopped_and_resumed(shell: Shell, system: System, prefix: str) -> None:
    id = shell("batch", "--prefix", prefix, "--labels", "cat,dog", "--json").json["id"]
    assert shell("batch", id, "--stop").status == 0
    ran = shell("batch", id, "--watch")
    assert ran.status == 1 and f"the batch {id} is stopped" in ran.err
    assert shell("batch", id, "--resume", "--json").json["state"] == "planning"


def test_what_makes_no_sense_is_said(shell: Shell, prefix: str) -> None:
    assert "give its id" in shell("batch", "--resume").err
    assert "not both" in shell("batch", "20260101000000-aaaaaa", "--prefix", prefix).err
    assert "candidate_labels is missing" in shell("batch", "--manifest", "collections/a.jsonl").err
    assert "no object's key begins with" in shell("batch", "--prefix", "uploads/absent", "--labels", "cat,dog").err
