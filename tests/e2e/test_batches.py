"""A batch through the API and the command line: its worker killed, stopped, resumed, and every image answered once."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import processes, sample
from model.resources.batches import SHARD_IMAGES
from tests.e2e.system import UNHURRIED, System, deployed
from wordsight.__main__ import main

LINES = 3 * SHARD_IMAGES
KEYS = [f"collections/pets/{number}" for number in range(10)]
CORRUPT = KEYS[3]
TIMEOUT_S = 300
POLL_S = 0.2


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("batches") / "local"
    with deployed(directory, *UNHURRIED, "--context", "batch_concurrency=1") as system:
        yield system


@pytest.fixture
def manifest(system: System) -> str:
    """Names each of a few images many times."""
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"no image" if key == CORRUPT else sample.IMAGE.read_bytes())
    lines = "".join(f"{json.dumps({'s3_key': KEYS[number % len(KEYS)]})}\n" for number in range(LINES))
    s3.put_object(Bucket=bucket, Key="collections/pets.jsonl", Body=lines.encode())
    return "collections/pets.jsonl"


def shell(system: System, capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """The JSON that a command prints."""
    status = main([*argv, "--json"], {"WORDSIGHT_URL": system.url, "WORDSIGHT_API_KEY": system.api_key})
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out)


def wait(look: Callable[[], Any], is_over: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_over(found := look()):
        assert time.monotonic() < deadline, f"not over after {TIMEOUT_S} s: {found}"
        time.sleep(POLL_S)
    return found


def workers(system: System) -> list[int]:
    """The processes that run the batches' function."""
    running = processes.running(system.settings.directory)
    return [pid for pid in running if b"BatchesFunction" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def map_run_status(system: System, execution: str) -> str:
    """Whether a batch's execution is still dealing out shards."""
    stepfunctions = system.client("stepfunctions")
    machines = stepfunctions.list_state_machines()["stateMachines"]
    (machine,) = (each["stateMachineArn"] for each in machines if "Batches" in each["name"])
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution}"
    (run,) = stepfunctions.list_map_runs(executionArn=arn)["mapRuns"]
    return str(stepfunctions.describe_map_run(mapRunArn=run["mapRunArn"])["status"])


def lines(system: System, prefix: str) -> list[dict[str, Any]]:
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    files = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for content in files for line in content.splitlines()]


def test_every_image_is_answered_once_although_the_worker_is_killed_and_the_batch_stopped(
    system: System, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def look() -> Any:
        return shell(system, capsys, "batch", id)

    id = shell(system, capsys, "batch", "--manifest", manifest, "--labels", ",".join(sample.LABELS), "--top-k", "1")[
        "id"
    ]
    wait(look, lambda found: found["state"] == "running")
    killed = workers(system)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert killed
    wait(look, lambda found: found["done_shards"] == 1)

    assert shell(system, capsys, "batch", id, "--stop")["state"] == "stopped"
    wait(lambda: map_run_status(system, f"{id}-1"), "RUNNING".__ne__)  # a shard that has begun is finished
    left = look()
    assert left["state"] == "stopped" and left["done_shards"] < LINES // SHARD_IMAGES

    shell(system, capsys, "batch", id, "--resume")
    done = wait(look, lambda found: found["state"] not in ("planning", "running"))
    assert (done["state"], done["images"], done["done_images"]) == ("done", LINES, LINES)
    answered = Counter(each["s3_key"] for each in lines(system, done["results_s3_prefix"]))
    assert answered == dict.fromkeys((key for key in KEYS if key != CORRUPT), LINES // len(KEYS))
    problems = lines(system, done["problems_s3_prefix"])
    assert Counter(each["place"] for each in problems) == {CORRUPT: LINES // len(KEYS)}
    scores, _ = system.classify()
    assert all(each["answer"] == scores[:1] for each in lines(system, done["results_s3_prefix"]))
