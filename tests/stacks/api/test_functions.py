from pathlib import Path

from contract.limits import API_TIMEOUT_S, LAMBDA_TIMEOUT_S, SDK_CONNECT_TIMEOUT_S, SDK_MAX_ATTEMPTS, SDK_READ_TIMEOUT_S
from contract.routes import ROUTES
from lambdas.settings import AnnotateSettings, BatchSettings, ClassifySettings, ImporterSettings, ManageSettings
from stacks.config import POWERTOOLS_LAYER_VERSION
from tests.stacks.conftest import REPOSITORY, Assembly, Template, flat

ENDPOINT = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/wordsight-dev"
DATA = "${WordsightData-dev.PublishOutputFnGetAttData666C94C7Arn14D6E0D7}"


def granted(api: Template, function: str) -> dict[str, set[str]]:
    """The resources of every action, but for what each function may do: write its own log, and be traced."""
    (logs,) = (id for id in api.of_type("AWS::Logs::LogGroup") if id.startswith(f"{function}FunctionLogs"))
    found: dict[str, set[str]] = {}
    for actions, resources, condition in api.statements(f"{function}FunctionRole"):
        assert condition is None
        for action in actions:
            found.setdefault(action, set()).update(resources)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert found.pop(action) == {f"${{{logs}.Arn}}"}
    for action in ("xray:PutTelemetryRecords", "xray:PutTraceSegments"):
        assert found.pop(action) == {"*"}
    return found


def test_there_is_one_function_for_every_module_that_routes_name_and_no_other(dev: Assembly) -> None:
    handlers = {
        each["Properties"]["Handler"]
        for id, each in dev.api.of_type("AWS::Lambda::Function").items()
        if not id.startswith(("Imports", "Batches"))
    }
    assert handlers == {f"lambdas.{route.function}.main.handler" for route in ROUTES}


def test_who_classifies_may_ask_one_endpoint_and_read_uploads_and_tasks_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.api, "Classify") == {
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "sagemaker:DescribeEndpoint": {ENDPOINT},
        "s3:GetObject": {f"{DATA}/uploads/*", f"{DATA}/tasks/*"},
        "s3:ListBucket": {DATA},
    }


def test_who_annotates_may_keep_what_users_give_and_start_imports_and_nothing_else(dev: Assembly) -> None:
    kept = {f"{DATA}/{name}/*" for name in ("tasks", "idempotency", "annotations")}
    (machine,) = (id for id in dev.api.of_type("AWS::StepFunctions::StateMachine") if id.startswith("Imports"))
    assert granted(dev.api, "Annotate") == {
        "s3:GetObject": kept | {f"{DATA}/uploads/*", f"{DATA}/imports/*"},
        "s3:PutObject": kept | {f"{DATA}/uploads/*", f"{DATA}/imports/*", f"{DATA}/images/*"},
        "s3:DeleteObject": kept,
        "s3:DeleteObjectVersion": {f"{DATA}/annotations/*", f"{DATA}/images/*"},
        "s3:ListBucket": {DATA},
        "s3:ListBucketVersions": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "states:StartExecution": {f"${{{machine}}}"},
    }


def test_the_endpoint_it_may_call_is_the_one_it_calls(dev: Assembly) -> None:
    environment = dev.api.the("AWS::Lambda::Function", "Classify")["Environment"]["Variables"]
    assert environment["ENDPOINT_NAME"] == dev.serving.the("AWS::SageMaker::Endpoint")["EndpointName"]


def test_its_environment_is_what_it_reads(prod: Assembly) -> None:
    environment = prod.api.the("AWS::Lambda::Function", "Classify")["Environment"]["Variables"]
    settings = ClassifySettings.from_env({**environment, "DATA_BUCKET": "data-bucket"})
    assert settings.endpoint_name == "wordsight-prod"
    assert settings.cors_origins == ("https://one.example", "https://two.example")


SETTINGS = {
    "classify": ClassifySettings,
    "annotate": AnnotateSettings,
    "manage": ManageSettings,
    "importer": ImporterSettings,
    "batch": BatchSettings,
}


def test_every_function_is_told_what_it_reads(dev: Assembly) -> None:
    for function in dev.api.of_type("AWS::Lambda::Function").values():
        settings = SETTINGS[function["Properties"]["Handler"].split(".")[1]]
        told = function["Properties"]["Environment"]["Variables"].keys()
        assert told == {field.alias for field in settings.model_fields.values()}


def test_each_step_gives_up_before_the_one_that_waits_for_it(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function", "Classify")
    assert function["Timeout"] > SDK_MAX_ATTEMPTS * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S)
    assert function["Timeout"] == LAMBDA_TIMEOUT_S < API_TIMEOUT_S


def test_it_runs_on_arm_with_the_pinned_powertools(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function", "Classify")
    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    (layer,) = map(flat, function["Layers"])
    assert layer.endswith(f":layer:AWSLambdaPowertoolsPythonV3-python314-arm64:{POWERTOOLS_LAYER_VERSION}")


def test_its_code_is_the_handlers_and_the_contract(dev: Assembly) -> None:
    key = dev.api.the("AWS::Lambda::Function", "Classify")["Code"]["S3Key"]
    staged = dev.directory / f"asset.{Path(key).stem}"
    files = {each.relative_to(staged) for each in staged.rglob("*") if each.is_file()}
    for folder in ("contract", "lambdas"):
        sources = {each.relative_to(REPOSITORY) for each in (REPOSITORY / folder).rglob("*.py")}
        assert sources <= files, folder
    assert Path("lambdas/classify/page/page.html") in files
    assert {each.parts[0] for each in files} == {"contract", "lambdas"}
    assert not [each for each in files if each.suffix == ".pyc"]
    assert dev.api.the("AWS::Lambda::Function", "Classify")["Handler"] == "lambdas.classify.main.handler"


def test_it_is_traced_and_takes_no_share_of_the_accounts_concurrency(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function", "Classify")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert "ReservedConcurrentExecutions" not in function  # a new account has ten in all, and the deployment would fail
