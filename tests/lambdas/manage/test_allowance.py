"""How many trainings run at once, and what a month of them may cost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from contract.trainings import RUNNING_KEY
from lambdas.aws.executions import Executions, TrainingJobs
from lambdas.aws.s3 import Store
from lambdas.manage.allowance import Allowance
from tests.lambdas.manage.conftest import TRAIN_SETTINGS, Stage


def allowing(bucket: Any, **limits: Any) -> Stage:
    return Stage(bucket, settings=TRAIN_SETTINGS.model_copy(update=limits))


def ended(stage: Stage, id: str, billed_s: int = 0) -> None:
    """The training's machine has run for so long, and its execution is over."""
    stage.execution(id)["status"] = "SUCCEEDED"
    name = f"wordsight-test-{id}"
    stage.jobs.jobs[name] = {
        "TrainingJobName": name,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "BillableTimeInSeconds": billed_s,
    }


def test_one_more_than_may_run_is_refused_with_who_runs_and_begins_when_that_has_ended(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    first = stage.started()["id"]
    answer = stage.ask("POST", "/trainings", {"dataset": "welds"})
    assert answer.status == 409
    assert f"1 training(s) run already ({first}), and this stage allows 1 at once" in answer.detail
    assert "DELETE /trainings/{training}" in answer.detail
    ended(stage, first)
    assert stage.started()["id"] != first


def test_a_rehearsal_says_so_as_well_and_takes_no_place(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    stage.annotated()
    rehearsal = ("POST", "/trainings", {"dataset": "welds"}, "dry_run=true")
    assert stage.ask(*rehearsal).json["starts"] is True
    stage.started()
    check = stage.ask(*rehearsal).json
    assert check["starts"] is False and "run already" in check["missing"][0]


def test_a_training_that_was_stopped_leaves_its_place(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    first = stage.started()["id"]
    assert stage.ask("DELETE", f"/trainings/{first}").status == 200
    stage.started()


def test_while_its_model_is_judged_another_may_learn(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    first = stage.started()["id"]
    ended(stage, first)
    stage.execution(first)["status"] = "RUNNING"
    stage.started()


def test_the_same_request_sent_twice_takes_one_place(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    stage.annotated()
    answers = [stage.ask("POST", "/trainings", {"dataset": "welds"}, **{"idempotency-key": "a"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].json["id"] == answers[1].json["id"]


def test_what_never_began_leaves_its_place_after_a_minute(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    allowance = of(stage)
    allowance.claim("20261129120000-000001", 0.1)  # and its function died
    assert "20261129120000-000001" in (allowance.refusal(0.1) or "")
    old = (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="seconds")
    body = f'{{"running": {{"20261129120000-000001": {{"since": "{old}", "usd": 0.1}}}}}}'
    stage.bucket.put_object(Key=RUNNING_KEY, Body=body.encode())
    assert allowance.refusal(0.1) is None


def of(stage: Stage, connect: Callable[[str], Any] | None = None) -> Allowance:
    connect = connect or stage.connect
    executions = Executions(stage.settings.training_machine_arn, connect)
    return Allowance(stage.settings, Store(stage.settings.data_bucket, connect), executions, TrainingJobs(connect))


def test_of_two_requests_at_once_that_find_the_last_place_free_one_is_refused(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=1)
    both = Barrier(2, timeout=10)

    class Slow:
        """S3, where whoever has read what runs waits until the other one has read it too."""

        def __init__(self) -> None:
            self.waits = True

        def __getattr__(self, name: str) -> Any:
            return getattr(stage.bucket.meta.client, name)

        def put_object(self, **request: Any) -> Any:
            if self.waits:
                self.waits = False
                both.wait()
            return stage.bucket.meta.client.put_object(**request)

    def claim(id: str) -> str:
        slow = Slow()
        try:
            of(stage, lambda service: slow if service == "s3" else stage.connect(service)).claim(id, 0.1)
        except Exception as refusal:  # its sentence is what is looked at
            return str(refusal)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(claim, ["20261129120000-000001", "20261129120000-000002"]))
    assert told[0] == "" and "1 training(s) run already (20261129120000-00000" in told[1]


def test_a_month_costs_what_was_billed_and_what_runs_is_estimated_to_cost(bucket: Any) -> None:
    stage = allowing(bucket, max_training_usd_per_month=2.0)
    first = stage.started()
    ended(stage, first["id"], billed_s=3 * 3600)  # at 0.50 USD an hour
    second = stage.started()
    assert 0.05 < second["estimated_usd"] < 0.25
    stage.bucket.put_object(
        Key=RUNNING_KEY,
        Body=f'{{"running": {{"{second["id"]}": {{"since": "{second["created"]}", "usd": 0.45}}}}}}'.encode(),
    )
    answer = stage.ask("POST", "/trainings", {"dataset": "welds"})
    assert answer.status == 409
    assert "of this month have cost about 1.50" in answer.detail
    assert f"will cost 0.45 ({second['id']}): this stage allows 2.00 a month" in answer.detail
    ended(stage, second["id"], billed_s=60)
    stage.started()


def test_what_another_month_has_cost_does_not_count(bucket: Any) -> None:
    stage = allowing(bucket, max_training_usd_per_month=0.5)
    first = stage.started()["id"]
    ended(stage, first, billed_s=36_000)
    assert stage.ask("POST", "/trainings", {"dataset": "welds"}).status == 409
    old = f"20200101000000-{first[-6:]}"
    document = stage.bucket.Object(f"trainings/{first}.json").get()["Body"].read().decode()
    stage.bucket.put_object(Key=f"trainings/{old}.json", Body=document.replace(first, old).encode())
    stage.bucket.Object(f"trainings/{first}.json").delete()
    stage.jobs.jobs[f"wordsight-test-{old}"] = stage.jobs.jobs[f"wordsight-test-{first}"]
    stage.started()


def test_the_document_about_what_runs_is_no_training(bucket: Any) -> None:
    stage = allowing(bucket, max_parallel_trainings=2)
    ids = {stage.started()["id"] for _ in range(2)}
    listed = stage.ask("GET", "/trainings").json["trainings"]
    assert {each["id"] for each in listed} == ids
