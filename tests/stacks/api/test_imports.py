import json

from stacks.api.imports import WORKER_TIMEOUT_S
from tests.stacks.conftest import DATA, ENDPOINT, Assembly, flat, granted


def test_the_worker_may_read_uploads_and_add_annotations_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.api, "Imports") == {
        "s3:GetObject": {f"{DATA}/uploads/*", f"{DATA}/imports/*"},
        "s3:PutObject": {f"{DATA}/annotations/*", f"{DATA}/images/*", f"{DATA}/imports/*"},
        "s3:ListBucket": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
    }


def test_the_machine_may_call_the_worker_and_nothing_else(dev: Assembly) -> None:
    (worker,) = (id for id in dev.api.of_type("AWS::Lambda::Function") if id.startswith("Imports"))
    called = {
        resource
        for actions, resources, _ in dev.api.statements("ImportsMachineRole")
        for resource in resources
        if "lambda:InvokeFunction" in actions
    }
    assert called == {f"${{{worker}.Arn}}"}


def test_the_machine_calls_again_while_there_is_more_and_reports_what_can_not_go_on(dev: Assembly) -> None:
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
    assert (worker["Handler"], worker["Timeout"]) == ("lambdas.importer.main.handler", WORKER_TIMEOUT_S)
