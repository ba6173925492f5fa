"""A stage is paused and comes back: by a person, by its schedule, as nobody used it, on a moved clock, and by its
budget.

The tests share one system, in their order. The emulator knows no time zones and ticks in minutes, so what its schedules
would send is read from them and sent by the test.
"""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import sample
from tests.e2e.loop import JSON_HEADERS, Api, pictograms
from tests.e2e.system import System, deployed, labels
from tests.e2e.test_teach import annotate, answers, images_of, save, wait

pytestmark = pytest.mark.slow

OFFICE_HOURS = "Mon-Fri 07:00-19:00 Europe/Berlin"
IDLE_MIN = 60
TAUGHT = {"task": "pictogram"}
SHOWN = pictograms(seed=1, count=40)
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    knobs = (
        *(f"office_hours={OFFICE_HOURS}", f"pause_after_idle_min={IDLE_MIN}", "autoscaling=true"),
        "monthly_budget_usd=100",
    )
    context = [word for knob in knobs for word in ("-c", knob)]
    with deployed(tmp_path_factory.mktemp("pause") / "local", *context) as system:
        yield system


@pytest.fixture(scope="module")
def api(system: System) -> Api:
    return Api(system)


def over(api: Api, id: str) -> Any:
    """What has become of a pause or a resume."""

    def is_over(found: Any) -> bool:
        change = found["change"]
        return change and change["id"] == id and change["state"] in ("paused", "in service", "failed")

    return api.wait("endpoint", is_over, TIMEOUT_S)


def begun(api: Api, action: str) -> Any:
    return over(api, api.begin(f"endpoint/{action}")["id"])


def refused(system: System, method: str, path: str, body: Any = None) -> Any:
    """The status and the problem, at the first attempt."""
    return system.send(method, path, b"" if body is None else json.dumps(body).encode(), JSON_HEADERS)


def health_when(system: System, status: int) -> Any:
    """GET /health, which may be some seconds behind, once it has a status, or after a while whatever it says."""
    deadline = time.monotonic() + TIMEOUT_S
    while (found := refused(system, "GET", "health"))[0] != status and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def teach(api: Api, system: System) -> Any:
    """What the stage answers by a lesson."""
    save(api, TAUGHT["task"], sorted({label for _, label in SHOWN}))
    for image, label in SHOWN:
        annotate(api, image, label, **TAUGHT)
    found = wait(api, lambda found: images_of(found) == len(SHOWN) and found["head"], TAUGHT["task"])
    by_lesson = answers(system, SHOWN, TAUGHT)
    assert by_lesson[1] == f"{TAUGHT['task']}={found['head'][:12]}"
    return by_lesson


def test_a_paused_stage_says_so_and_comes_back_with_the_same_version_and_the_same_bits(
    system: System, api: Api
) -> None:
    before, headers = system.classify()
    by_lesson = teach(api, system)
    assert api.promote("base", TIMEOUT_S)["state"] == "live", "a stage that was never paused promotes"
    in_service = api.get("endpoint")
    assert (in_service["state"], in_service["version"], in_service["usd_per_hour"] > 0) == ("in service", "base", True)

    while (asked := refused(system, "POST", "endpoint/pause"))[0] == 409:
        assert "the promotion" in asked[1]["detail"], "whose lessons take a moment, though it is live"
        time.sleep(0.5)
    paused = over(api, asked[1]["id"])
    assert (paused["state"], paused["by"], paused["usd_per_hour"]) == ("paused", "request", 0), paused
    assert paused["usd_per_hour_in_service"] == in_service["usd_per_hour"] and paused["version"] == "base"
    question = f"classify?candidate_labels={labels()}"
    status, problem = system.send("POST", question, sample.IMAGE.read_bytes(), {"content-type": "image/png"})
    assert (status, problem["state"], problem["retry_after_s"] > 0) == (503, "paused", True)
    assert f"the stage is paused since {paused['since']}" in problem["detail"] and "resume" in problem["detail"]
    status, health = health_when(system, 503)
    assert (status, health["state"], health["detail"]) == (503, "paused", problem["detail"])
    for path, body in (
        ("models/base/promote", None),
        ("batches", {"s3_prefix": "uploads/", "parameters": {"candidate_labels": ["a", "b"]}}),
        ("annotations/imports", {"s3_prefix": "uploads/pets/"}),
    ):
        status, problem = refused(system, "POST", path, body)
        assert (status, "the stage is paused since" in problem["detail"]) == (409, True), problem
    annotation = {"image": base64.b64encode(sample.IMAGE.read_bytes()).decode(), "label": "fish"}
    assert refused(system, "POST", "annotations", annotation)[1]["state"] == "paused", "whose image the model looks at"
    assert api.ask("PUT", "tasks/kept", {"candidate_labels": ["fish", "house"]})[0] == 201
    assert api.begin("endpoint/pause")["state"] == "paused", "it is so already"

    resumed = begun(api, "resume")
    assert (resumed["state"], resumed["change"]["state"]) == ("in service", "in service"), resumed
    answer, now = system.classify()
    assert (answer, now["x-model-version"]) == (before, headers["x-model-version"])
    assert answers(system, SHOWN, TAUGHT) == by_lesson
    assert health_when(system, 200)[0] == 200


def schedules(system: System) -> dict[tuple[str, str], Any]:
    """By what they ask for: (action, by)."""
    scheduler = system.client("scheduler")
    names = [each["Name"] for each in scheduler.list_schedules()["Schedules"]]
    found = [scheduler.get_schedule(Name=name) for name in names]
    asked = [json.loads(each["Target"]["Input"]) for each in found]
    return {(each["action"], each["by"]): schedule for each, schedule in zip(asked, found, strict=True)}


def sent(system: System, schedule: Any, at: datetime) -> str:
    """What a schedule does when the clock shows `at`: the id of the change, and so of the execution."""
    target = schedule["Target"]
    given = target["Input"].replace("<aws.scheduler.scheduled-time>", at.isoformat())
    begun = system.client("stepfunctions").start_execution(stateMachineArn=target["Arn"], input=given)
    return str(begun["executionArn"]).rpartition(":")[2]


def executed(system: System, schedule: Any, name: str) -> str:
    """How an execution ended."""
    states = system.client("stepfunctions")
    arn = f"{schedule['Target']['Arn'].replace(':stateMachine:', ':execution:')}:{name}"
    deadline = time.monotonic() + TIMEOUT_S
    while (status := states.describe_execution(executionArn=arn)["status"]) == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return str(status)


def test_a_stage_is_paused_in_the_evening_and_resumed_in_the_morning(system: System, api: Api) -> None:
    found, states = schedules(system), system.client("stepfunctions")
    closing = found["pause", "schedule"]
    machine = closing["Target"]["Arn"]
    known = {each["name"] for each in states.list_executions(stateMachineArn=machine)["executions"]}
    # One that is due fires by itself, with the role and the input of the deployed one.
    due = {key: closing[key] for key in ("FlexibleTimeWindow", "Target")}
    system.client("scheduler").create_schedule(Name="due", ScheduleExpression="at(2026-01-01T00:00:00)", **due)
    deadline = time.monotonic() + TIMEOUT_S
    while not (new := {each["name"] for each in states.list_executions(stateMachineArn=machine)["executions"]} - known):
        assert time.monotonic() < deadline, "no schedule fired"
        time.sleep(0.5)
    (id,) = new
    paused = over(api, id)
    assert (paused["state"], paused["by"]) == ("paused", "schedule"), paused
    assert "office_hours" in health_when(system, 503)[1]["detail"]
    opening = found["resume", "schedule"]
    resumed = over(api, sent(system, opening, datetime.now(UTC)))
    assert (resumed["state"], resumed["change"]["by"]) == ("in service", "schedule"), resumed
    before = resumed["change"]
    assert executed(system, opening, sent(system, opening, datetime.now(UTC))) == "SUCCEEDED"
    assert api.get("endpoint")["change"] == before, "there was nothing to do"


def test_what_nobody_uses_is_paused_and_what_is_used_is_not(system: System, api: Api) -> None:
    idle = schedules(system)["pause", "idle"]
    idle_for = timedelta(minutes=IDLE_MIN)
    before = datetime.now(UTC)
    system.classify()
    used = datetime.now(UTC)
    for at in (used, before + idle_for):
        assert executed(system, idle, sent(system, idle, at)) == "SUCCEEDED"
        assert api.get("endpoint")["state"] == "in service", "it has just come back, or was used"
    paused = over(api, sent(system, idle, used + idle_for + timedelta(minutes=1)))
    assert (paused["state"], paused["by"]) == ("paused", "idle"), paused
    assert "nobody used it" in paused["detail"]
    assert begun(api, "resume")["state"] == "in service"


def test_a_spent_budget_pauses_the_stage(system: System, api: Api) -> None:
    message = system.client("sns").publish(
        TopicArn=system.output("BudgetTopicArn"), Message="your actual cost exceeds 100% of your budget"
    )
    paused = api.wait("endpoint", lambda found: found["by"] == "budget" and found["state"] == "paused", TIMEOUT_S)
    assert paused["change"]["id"] == f"budget-{message['MessageId']}"
    assert "as its budget is spent (monthly_budget_usd)" in paused["detail"]
    assert begun(api, "resume")["state"] == "in service"
