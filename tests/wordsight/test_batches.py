import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.limits import API_KEY_HEADER
from lambdas.batch.main import Worker
from lambdas.settings import BatchSettings
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell, System
from tests.wordsight.test_api import Answers, answering
from wordsight.__main__ import main


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


def test_the_answers_come_from_the_addresses_that_the_api_names(capsys: pytest.CaptureFixture[str]) -> None:
    view = {"id": "20260101000000-aaaaaa", "state": "done", "reason": None}
    answers: Answers = [(200, {}, json.dumps(view).encode())]
    with answering(answers) as (url, seen):
        pages = [
            {"results": [f"{url}r1"], "problems": [f"{url}p1"], "next": "0"},
            {"results": [f"{url}r2"], "problems": [], "next": None},
        ]
        one = b'{"s3_key": "uploads/1", "name": "pets/1.jpg", "model_version": "a", "answer": [{"label": "cat"}]}\n'
        bad = b'{"place": "uploads/2", "name": "pets/2.jpg", "problem": {"detail": "it is no image"}}\n'
        two = b'{"s3_key": "collections/3", "model_version": "a", "answer": []}\n'
        for content in (json.dumps(pages[0]).encode(), one, bad, json.dumps(pages[1]).encode(), two):
            answers.append((200, {}, content))
        assert main(["batch", view["id"] or "", "--download", "--url", url, "--api-key", "k"], {}) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"path": "pets/1.jpg", "answer": [{"label": "cat"}]},
        {"path": "pets/2.jpg", "error": "it is no image"},
        {"path": "collections/3", "answer": []},
    ]
    keys = {path: API_KEY_HEADER in headers for path, headers, _ in seen}
    assert keys["/v1/r1"] is False, "what is signed for the bucket needs no key, which is not the bucket's to know"
    assert f"/v1/batches/{view['id']}/files?after=0" in keys


def test_a_folder_is_checked_before_it_is_sent(shell: Shell, system: System, tmp_path: Path) -> None:
    assert "there is no image in" in shell("batch", tmp_path, "--labels", "cat,dog").err
    (tmp_path / "1.jpg").write_bytes(JPEG_START)
    ran = shell("batch", tmp_path, "--labels", "cat")
    assert ran.status == 1 and "a lone label" in ran.err
    assert [event["path"] for event in system.events] == ["/classify"]
    assert "is a folder: --stop and --resume" in shell("batch", tmp_path, "--stop").err


def test_a_batch_that_is_not_over_has_nothing_to_download_yet(shell: Shell, prefix: str) -> None:
    id = shell("batch", "--prefix", prefix, "--labels", "cat,dog", "--json").json["id"]
    assert "--watch waits until it is over" in shell("batch", id, "--download").err
