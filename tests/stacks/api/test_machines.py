import json
from typing import Any

from lambdas.settings import BatchSettings
from stacks.api.machines import BATCH_WORKER_TIMEOUT_S, IMPORT_WORKER_TIMEOUT_S, RETRIES_OF_A_KILLED_WORKER
from tests.stacks.conftest import DATA, ENDPOINT, TEACHER, Assembly, flat, granted


def states(assembly: Assembly) -> dict[str, Any]:
    machine = assembly.api.the("AWS::StepFunctions::StateMachine", "Batches")
    found: dict[str, Any] = json.loads(flat(machine["DefinitionString"]))["States"]
    return found


def machine_id(assembly: Assembly) -> str:
    (found,) = (id for id in assembly.api.of_type("AWS::StepFunctions::StateMachine") if id.startswith("Batches"))
    return found


def test_the_worker_of_batches_may_read_images_and_write_down_what_came_of_them_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.api, "Batches") == {
        "s3:GetObject": {f"{DATA}/{name}/*" for name in ("uploads", "collections", "images", "batches")},
        "s3:PutObject": {f"{DATA}/batches/*"},
        "s3:ListBucket": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
    }


def test_the_machine_of_batches_may_call_its_worker_and_run_executions_of_its_own(dev: Assembly) -> None:
    (worker,) = (id for id in dev.api.of_type("AWS::Lambda::Function") if id.startswith("Batches"))
    called = {
        (action, resource)
        for actions, resources, _ in dev.api.statements("BatchesMachineRole")
        for action in actions
        for resource in resources
        if action.startswith(("lambda:", "states:Start"))
    }
    assert called == {
        ("lambda:InvokeFunction", f"${{{worker}.Arn}}"),
        ("states:StartExecution", f"${{{machine_id(dev)}}}"),
    }


def test_it_plans_until_everything_is_listed_and_then_deals_out_the_shards(dev: Assembly, prod: Assembly) -> None:
    found = states(dev)
    assert found["Plan"]["Parameters"] == {"step": "plan", "id.$": "$.id"}
    (planned,) = found["IsPlanned"]["Choices"]
    assert (planned["Variable"], planned["BooleanEquals"], planned["Next"]) == ("$.plan.complete", True, "Classify")
    assert found["IsPlanned"]["Default"] == "Plan"
    shards = found["Classify"]
    assert shards["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert (shards["ItemsPath"], shards["ResultPath"]) == ("$.plan.shards", None)
    assert shards["ItemSelector"] == {"id.$": "$.id", "shard.$": "$$.Map.Item.Value"}
    assert (shards["MaxConcurrency"], states(prod)["Classify"]["MaxConcurrency"]) == (2, 8)


def test_a_shard_whose_worker_was_killed_is_done_again_and_one_that_can_not_be_done_is_told_of(dev: Assembly) -> None:
    child = states(dev)["Classify"]["ItemProcessor"]["States"]
    assert child["Shard"]["Parameters"] == {"step": "shard", "shard.$": "$.shard", "id.$": "$.id"}
    assert child["Shard"]["Retry"][-1] == {"ErrorEquals": ["States.ALL"], "MaxAttempts": RETRIES_OF_A_KILLED_WORKER}
    for task, tell in (
        (child["Shard"], child["TellShardFailure"]),
        (states(dev)["Plan"], states(dev)["TellPlanFailure"]),
    ):
        assert [(each["ErrorEquals"], each["ResultPath"]) for each in task["Catch"]] == [(["States.ALL"], "$.error")]
        assert tell["Parameters"] == {"step": "fail", "error.$": "$.error", "id.$": "$.id"}


def test_the_functions_are_told_what_they_read(dev: Assembly) -> None:
    worker = dev.api.the("AWS::Lambda::Function", "Batches")
    assert (worker["Handler"], worker["Timeout"]) == ("lambdas.batch.main.handler", BATCH_WORKER_TIMEOUT_S)
    environment = {**worker["Environment"]["Variables"], "DATA_BUCKET": "data-bucket"}
    assert BatchSettings.from_env(environment).endpoint_name == "wordsight-dev"
    environment = dev.api.the("AWS::Lambda::Function", "Train")["Environment"]["Variables"]
    assert environment["BATCH_MACHINE_ARN"] == {"Ref": machine_id(dev)}


def test_who_answers_the_routes_may_start_and_stop_batches_and_read_what_came_of_them(dev: Assembly) -> None:
    allowed = granted(dev.api, "Train")
    assert f"{DATA}/batches/*" in allowed["s3:GetObject"] & allowed["s3:PutObject"]
    assert f"{DATA}/tasks/*" in allowed["s3:GetObject"] - allowed["s3:PutObject"]
    assert f"${{{machine_id(dev)}}}" in allowed["states:StartExecution"]
    executions = f"execution:${{{machine_id(dev)}.Name}}:*"
    for action in ("states:DescribeExecution", "states:StopExecution"):
        assert len([each for each in allowed[action] if each.endswith(executions)]) == 1


def test_the_worker_of_imports_may_read_uploads_and_add_annotations_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.api, "Imports") == {
        "s3:GetObject": {f"{DATA}/uploads/*", f"{DATA}/imports/*"},
        "s3:PutObject": {f"{DATA}/{name}/*" for name in ("annotations", "images", "embeddings", "imports")},
        "s3:ListBucket": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "lambda:InvokeFunction": {TEACHER},
    }


def test_the_machine_of_imports_may_call_its_worker_and_nothing_else(dev: Assembly) -> None:
    (worker,) = (id for id in dev.api.of_type("AWS::Lambda::Function") if id.startswith("Imports"))
    called = {
        resource
        for actions, resources, _ in dev.api.statements("ImportsMachineRole")
        for resource in resources
        if "lambda:InvokeFunction" in actions
    }
    assert called == {f"${{{worker}.Arn}}"}


def test_it_imports_again_while_there_is_more_and_reports_what_can_not_go_on(dev: Assembly) -> None:
    states = json.loads(flat(dev.api.the("AWS::StepFunctions::StateMachine", "Imports")["DefinitionString"]))["States"]
    assert states["Import"]["Parameters"] == {"id.$": "$.id"}
    assert states["Import"]["Next"] == "IsRunning"
    assert [(each["StringEquals"], each["Next"]) for each in states["IsRunning"]["Choices"]] == [("running", "Import")]
    assert states["Import"]["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
    assert [each["Next"] for each in states["Import"]["Catch"]] == ["GiveUp"]
    assert states["GiveUp"]["Parameters"] == {"id.$": "$.id", "failure.$": "$.error"}
    assert states["GiveUp"]["Next"] == "NotImported"


def test_the_function_that_starts_imports_knows_the_machine(dev: Assembly) -> None:
    (machine,) = (id for id in dev.api.of_type("AWS::StepFunctions::StateMachine") if id.startswith("Imports"))
    annotate = dev.api.the("AWS::Lambda::Function", "Annotate")["Environment"]["Variables"]
    assert annotate["IMPORT_MACHINE_ARN"] == {"Ref": machine}
    worker = dev.api.the("AWS::Lambda::Function", "Imports")
    assert (worker["Handler"], worker["Timeout"]) == ("lambdas.importer.main.handler", IMPORT_WORKER_TIMEOUT_S)
