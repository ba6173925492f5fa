import json
from typing import Any

import boto3
import pytest

from contract.imports import AnnotationImport, ImportView
from contract.routes import GET_IMPORT
from tests.lambdas.annotate.test_annotations import keys, send
from tests.lambdas.conftest import ANNOTATE_SETTINGS, Call

ASKED = {"s3_prefix": "uploads/pets/", "dataset": "pets", "task": "pet"}


@pytest.fixture
def machine(bucket: Any) -> Any:
    """The state machine that imports, of which only the executions matter here."""
    client = boto3.client("stepfunctions", region_name="us-east-1")
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/imports"
    made = client.create_state_machine(name="imports", definition=definition, roleArn=role)
    assert made["stateMachineArn"] == ANNOTATE_SETTINGS.import_machine_arn
    yield client
    client.delete_state_machine(stateMachineArn=made["stateMachineArn"])


def executions(machine: Any) -> list[dict[str, Any]]:
    found = machine.list_executions(stateMachineArn=ANNOTATE_SETTINGS.import_machine_arn)["executions"]
    return [machine.describe_execution(executionArn=each["executionArn"]) for each in found]


def test_an_import_is_written_down_and_its_execution_begun(annotate: Call, machine: Any) -> None:
    answer = send(annotate, "POST", "/annotations/imports", ASKED)
    assert answer.status == 202
    begun = ImportView.model_validate(answer.json)
    assert (begun.state, begun.records, begun.dataset) == ("running", 0, "pets")
    (execution,) = executions(machine)
    assert execution["name"] == begun.id and json.loads(execution["input"]) == {"id": begun.id}
    assert send(annotate, "GET", GET_IMPORT.path.format(id=begun.id)).json == answer.json


def test_an_import_asked_for_twice_with_one_key_is_begun_once(annotate: Call, bucket: Any, machine: Any) -> None:
    first, again = (send(annotate, "POST", "/annotations/imports", ASKED, Idempotency_Key="k") for _ in range(2))
    assert first.json == again.json
    assert len(keys(bucket, "imports/")) == 1 and len(executions(machine)) == 1


def test_how_far_an_import_is_comes_from_its_document(annotate: Call, bucket: Any, machine: Any) -> None:
    id = send(annotate, "POST", "/annotations/imports", ASKED).json["id"]
    stored = AnnotationImport.model_validate_json(bucket.Object(f"imports/{id}.json").get()["Body"].read())
    ended = stored.model_copy(update={"state": "done", "records": 10, "stored": 9, "problems": 1})
    bucket.put_object(Key=f"imports/{id}.json", Body=ended.model_dump_json().encode())
    told = send(annotate, "GET", f"/annotations/imports/{id}").json
    assert (told["state"], told["records"], told["stored"], told["problem_records"]) == ("done", 10, 9, 1)
    assert told["problems_s3_prefix"] == f"imports/{id}/"


@pytest.mark.parametrize(
    "asked, word",
    [
        ({}, "0 of s3_key and s3_prefix"),
        ({"s3_key": "uploads/a.jsonl", "s3_prefix": "uploads/a/"}, "2 of s3_key and s3_prefix"),
        ({"s3_prefix": "images/"}, "lies under 'uploads/'"),
        ({"s3_prefix": "uploads/a/", "dataset": "A"}, "a dataset's name"),
        ({"s3_prefix": "uploads/a/", "format": "csv"}, "not a known field"),
    ],
)
def test_an_import_that_can_not_be_understood_is_refused(annotate: Call, bucket: Any, asked: Any, word: str) -> None:
    assert word in send(annotate, "POST", "/annotations/imports", asked).detail
    assert not keys(bucket, "imports/")


def test_an_import_that_was_never_asked_for_is_not_found(annotate: Call) -> None:
    assert send(annotate, "GET", "/annotations/imports/20260101000000-00000a").status == 404
    assert "import's id is 'x'" in send(annotate, "GET", "/annotations/imports/x").detail


def test_no_import_begins_while_the_stage_is_paused(annotate: Call, machine: Any, bucket: Any) -> None:
    paused = {"id": "one", "action": "pause", "state": "paused", "paused_since": "2026-11-29T18:00:00+00:00"}
    at = {"created": "2026-11-29T17:58:00+00:00", "updated": "2026-11-29T18:00:00+00:00"}
    bucket.put_object(Key="endpoint/change.json", Body=json.dumps({**paused, **at}))
    answer = send(annotate, "POST", "/annotations/imports", ASKED)
    assert answer.status == 409 and "an import needs the endpoint, and the stage is paused since" in answer.detail
    assert executions(machine) == [] and keys(bucket, "imports/") == []
