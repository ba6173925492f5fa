"""The stage whose model is a Lambda function."""

from typing import Any

from contract.containers import FunctionSettings
from contract.models import NO_MODEL_URI
from contract.serving_function import COMMAND
from tests.stacks.conftest import ARTIFACTS, Assembly, flat


def function(assembly: Assembly) -> dict[str, Any]:
    return assembly.serving.the("AWS::Lambda::Function")


def test_nothing_of_sagemaker_is_there_and_nothing_that_costs_while_nobody_asks(by_function: Assembly) -> None:
    types = {each["Type"] for each in by_function.serving.body["Resources"].values()}
    assert {kind for kind in types if kind != "AWS::CDK::Metadata"} == {
        f"AWS::{kind}" for kind in ("Lambda::Function", "IAM::Role", "IAM::Policy", "Logs::LogGroup")
    }


def test_it_is_the_serving_image_for_one_architecture_with_another_command(
    by_function: Assembly, dev: Assembly
) -> None:
    image = dev.serving.the("AWS::SageMaker::Model")["PrimaryContainer"]["Image"]
    assert function(by_function)["Code"] == {"ImageUri": image}
    assert function(by_function)["ImageConfig"] == {"Command": list(COMMAND)}
    assert (function(by_function)["PackageType"], function(by_function)["Architectures"]) == ("Image", ["x86_64"])


def test_it_is_called_as_the_endpoint_is(by_function: Assembly, dev: Assembly) -> None:
    assert function(by_function)["FunctionName"] == dev.serving.the("AWS::SageMaker::Endpoint")["EndpointName"]
    assert by_function.serving.outputs == {"FunctionName": "wordsight-dev"}


def test_it_is_told_what_a_server_is_told_and_where_its_checkpoint_is(by_function: Assembly) -> None:
    environment = function(by_function)["Environment"]["Variables"]
    assert environment["MODEL_S3_URI"] == {"Ref": "ModelUri"}
    told = FunctionSettings.from_env({**environment, "MODEL_S3_URI": NO_MODEL_URI})
    suffix = [{"Ref": "AWS::Region"}, ".", {"Ref": "AWS::URLSuffix"}]
    assert environment["AWS_ENDPOINT_URL"] == {"Fn::Join": ["", ["https://s3.", *suffix]]}
    assert (told.exact, told.queue_budget_ms, told.expect_gpu) == (True, 250, False)
    assert told.precision == "fp32", "whatever the processor that a call meets can do"
    parameters = by_function.serving.body["Parameters"]
    assert parameters.keys() == {"ModelUri", "Paused"} and parameters["ModelUri"]["Default"] == NO_MODEL_URI


def test_memory_and_how_many_run_at_once_are_the_stages_own(by_function: Assembly) -> None:
    assert (function(by_function)["MemorySize"], function(by_function)["ReservedConcurrentExecutions"]) == (3538, 7)


def test_nothing_is_kept_aside_unless_asked_for(synthesize: Any) -> None:
    plain = function(synthesize(stage="dev", serving="lambda"))
    assert "ReservedConcurrentExecutions" not in plain and plain["MemorySize"] == 3008


def test_a_checkpoint_fits_beside_what_is_computed_from_it(by_function: Assembly) -> None:
    assert function(by_function)["EphemeralStorage"] == {"Size": 4096}
    assert 60 <= function(by_function)["Timeout"] <= 900


def test_a_pause_takes_the_function_and_nothing_else(by_function: Assembly) -> None:
    resources = by_function.serving.body["Resources"]
    assert {id: each["Condition"] for id, each in resources.items() if "Condition" in each} == {
        "Function": "IsNotPaused"
    }


def test_it_reads_models_and_writes_its_own_log_and_nothing_else(by_function: Assembly) -> None:
    (log,) = by_function.serving.of_type("AWS::Logs::LogGroup")
    granted = {
        action: (set(resources), condition)
        for actions, resources, condition in by_function.serving.statements("FunctionRole")
        for action in actions
    }
    assert granted == {
        "s3:GetObject": ({f"{ARTIFACTS}/models/*"}, None),
        "s3:ListBucket": ({ARTIFACTS}, {"StringLike": {"s3:prefix": ["models/*"]}}),
        **{f"logs:{name}": ({f"${{{log}.Arn}}"}, None) for name in ("CreateLogStream", "PutLogEvents")},
    }
    assert function(by_function)["LoggingConfig"] == {"LogGroup": {"Ref": log}}
    assert by_function.serving.the("AWS::Logs::LogGroup")["RetentionInDays"] == 14


def test_it_waits_for_the_permissions_it_starts_with(by_function: Assembly) -> None:
    (there,) = by_function.serving.of_type("AWS::Lambda::Function").values()
    (policy,) = by_function.serving.of_type("AWS::IAM::Policy")
    assert policy in there["DependsOn"]


def test_one_flag_changes_what_runs_the_model_and_what_stands_for_it_and_nothing_else(
    synthesize: Any, dev: Assembly
) -> None:
    other = synthesize(stage="dev", serving="lambda")
    for name in ("Data", "Training", "Api"):
        ids = {id: each["Type"] for id, each in dev.templates[name].body["Resources"].items()}
        # A new deployment of the API is none of its resources.
        assert {id: each["Type"] for id, each in other.templates[name].body["Resources"].items()} == ids
    assert flat(dev.api.outputs["ApiUrl"]) == flat(other.api.outputs["ApiUrl"])
