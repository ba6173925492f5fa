"""A batch through the API and the command line: its worker killed, stopped, resumed, and every image answered once."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.batches import SHARD_IMAGES
from local import processes, sample
from tests.e2e.system import System, deployed
from wordsight.__main__ import main

SHARDS = 4
"""One before the worker is killed, one behind it, one that has begun when the batch is stopped, and a short one."""
IMAGES = (SHARDS - 1) * SHARD_IMAGES + 100
CORRUPT_EVERY = 100
PREFIX = "collections/drawings/"
DRAWINGS = Path(__file__).parent / "drawings"
FILES = {"fish": sample.IMAGE, **{label: DRAWINGS / f"{label}.png" for label in ("house", "tree")}}
"""What takes turns, each under the label that fits it best."""

WRITERS = 8
TIMEOUT_S = 300
POLL_S = 0.5


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("batches") / "local"
    with deployed(directory, "--context", "batch_concurrency=1") as system:
        yield system


@dataclass(frozen=True)
class Collection:
    """What lies in the bucket: the label that fits each image, by its key, and the keys of those that are cut off."""

    labels: dict[str, str]
    corrupt: set[str]


@pytest.fixture
def collection(system: System) -> Collection:
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    files = {label: path.read_bytes() for label, path in FILES.items()}
    labels = {f"{PREFIX}{number:04}.png": list(files)[number % len(files)] for number in range(IMAGES)}
    corrupt = set(list(labels)[CORRUPT_EVERY // 2 :: CORRUPT_EVERY])

    def put(key: str) -> None:
        content = files[labels[key]]
        s3.put_object(Bucket=bucket, Key=key, Body=content[: len(content) // 2] if key in corrupt else content)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(put, labels))
    return Collection({key: label for key, label in labels.items() if key not in corrupt}, corrupt)


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


@pytest.mark.slow
def test_every_image_is_answered_once_although_the_worker_is_killed_and_the_batch_stopped(
    system: System, collection: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    def look() -> Any:
        return shell(system, capsys, "batch", id)

    labels = ",".join(sample.LABELS)
    id = shell(system, capsys, "batch", "--prefix", PREFIX, "--labels", labels, "--top-k", "1")["id"]
    wait(look, lambda found: found["done_shards"] == 1)
    killed = workers(system)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert killed
    wait(look, lambda found: found["done_shards"] == 2)

    assert shell(system, capsys, "batch", id, "--stop")["state"] == "stopped"
    wait(lambda: map_run_status(system, f"{id}-1"), "RUNNING".__ne__)  # a shard that has begun is finished
    left = look()
    assert left["state"] == "stopped" and left["done_shards"] < SHARDS

    shell(system, capsys, "batch", id, "--resume")
    done = wait(look, lambda found: found["state"] not in ("planning", "running"))
    assert (done["state"], done["images"], done["done_images"]) == ("done", IMAGES, IMAGES)
    assert (done["results"], done["problems"]) == (len(collection.labels), len(collection.corrupt))
    results = [(each["s3_key"], each["answer"][0]["label"]) for each in lines(system, done["results_s3_prefix"])]
    assert sorted(results) == sorted(collection.labels.items())
    problems = [(each["place"], each["problem"]["status"]) for each in lines(system, done["problems_s3_prefix"])]
    assert sorted(problems) == [(key, 422) for key in sorted(collection.corrupt)]
