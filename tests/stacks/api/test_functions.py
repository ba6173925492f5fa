from contract.limits import API_TIMEOUT_S, LAMBDA_TIMEOUT_S, WORKER_MAX_ATTEMPTS, WORKER_READ_TIMEOUT_S
from contract.routes import ROUTES
from lambdas.settings import (
    PROCESS,
    AnnotateSettings,
    AuthorizeSettings,
    BatchSettings,
    ClassifySettings,
    ImporterSettings,
    ManageSettings,
)
from tests.contract.test_limits import longest_call_s
from tests.stacks.conftest import (
    ACCOUNT,
    ARTIFACTS,
    DATA,
    ENDPOINT,
    SERVING_STACK,
    TEACHER,
    Assembly,
    flat,
    granted,
)


def test_there_is_one_function_for_every_module_that_routes_name_and_no_other(dev: Assembly) -> None:
    handlers = {
        each["Properties"]["Handler"]
        for id, each in dev.api.of_type("AWS::Lambda::Function").items()
        if not id.startswith(("Imports", "Batches"))
    }
    functions = {"authorize", *(route.function for route in ROUTES)}
    assert handlers == {f"lambdas.{function}.main.handler" for function in functions}


def test_who_finds_the_key_may_do_nothing(dev: Assembly) -> None:
    assert granted(dev.api, "Authorize") == {}


def test_who_classifies_may_ask_one_endpoint_and_read_uploads_and_tasks_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.api, "Classify") == {
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "sagemaker:DescribeEndpoint": {ENDPOINT},
        "s3:GetObject": {f"{DATA}/{name}/*" for name in ("uploads", "tasks", "taught", "heads", "endpoint")},
        "s3:ListBucket": {DATA},
    }


def test_who_annotates_may_keep_what_users_give_and_start_imports_and_lessons_and_nothing_else(dev: Assembly) -> None:
    kept = {f"{DATA}/{name}/*" for name in ("tasks", "idempotency", "annotations")}
    changed = kept | {f"{DATA}/{name}/*" for name in ("uploads", "imports", "images", "thumbnails", "taught")}
    forgotten = ("annotations", "images", "thumbnails", "embeddings", "heads", "taught")
    erased = {f"{DATA}/{name}/*" for name in forgotten}
    (machine,) = (id for id in dev.api.of_type("AWS::StepFunctions::StateMachine") if id.startswith("Imports"))
    assert granted(dev.api, "Annotate") == {
        "s3:GetObject": changed | {f"{DATA}/heads/*", f"{DATA}/endpoint/*"},
        "s3:PutObject": changed | {f"{DATA}/embeddings/*"},
        "s3:DeleteObject": kept,
        "s3:DeleteObjectVersion": erased,
        "s3:ListBucket": {DATA},
        "s3:ListBucketVersions": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "states:StartExecution": {f"${{{machine}}}"},
        "lambda:InvokeFunction": {TEACHER},
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
    "authorize": AuthorizeSettings,
    "classify": ClassifySettings,
    "annotate": AnnotateSettings,
    "manage": ManageSettings,
    "importer": ImporterSettings,
    "batch": BatchSettings,
}


def test_every_function_is_told_what_it_reads(dev: Assembly) -> None:
    for function in dev.api.of_type("AWS::Lambda::Function").values():
        module = function["Properties"]["Handler"].split(".")[1]
        told = function["Properties"].get("Environment", {"Variables": {}})["Variables"].keys()
        assert told == {field.alias for field in SETTINGS[module].model_fields.values()} | PROCESS.keys()


def test_each_step_gives_up_before_the_one_that_waits_for_it(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function", "Classify")
    assert function["Timeout"] == LAMBDA_TIMEOUT_S < API_TIMEOUT_S


def test_a_worker_outlasts_a_service_that_never_answers(dev: Assembly) -> None:
    functions = [each["Properties"] for _, each in dev.resources if each["Type"] == "AWS::Lambda::Function"]
    named = {each["Handler"].split(".")[1]: each for each in functions if each["Handler"].startswith("lambdas.")}
    for worker in ("importer", "batch", "teach", "snapshot", "gate", "rollout"):
        assert named[worker]["Timeout"] > longest_call_s(WORKER_MAX_ATTEMPTS, WORKER_READ_TIMEOUT_S), worker


TRAINING = "WordsightTraining-dev."


def test_who_manages_may_start_and_look_and_changes_nothing_itself(dev: Assembly) -> None:
    found = granted(dev.api, "Train")
    jobs = {ACCOUNT % "sagemaker" + "training-job/wordsight-dev-*"}
    assert found["sagemaker:DescribeTrainingJob"] == found["sagemaker:StopTrainingJob"] == jobs
    assert found["cloudformation:DescribeStacks"] == {SERVING_STACK}
    assert found["sagemaker:InvokeEndpoint"] == {ENDPOINT}
    assert found["s3:ListBucket"] == {DATA, ARTIFACTS}
    of_models = {f"{ARTIFACTS}/{prefix}/*" for prefix in ("registry", "promotions", "models/uploads")}
    assert {place for place in found["s3:PutObject"] if place.startswith(ARTIFACTS)} == of_models
    assert {f"{DATA}/trainings/*", f"{DATA}/idempotency/*"} <= found["s3:PutObject"]
    assert f"{ARTIFACTS}/checkpoints/*" in found["s3:GetObject"] - found["s3:PutObject"]
    assert f"{DATA}/annotations/*" in found["s3:GetObject"] - found["s3:PutObject"]
    assert found["s3:DeleteObject"] == {f"{DATA}/idempotency/*"}
    services = {action.partition(":")[0] for action in found}
    assert services == {"s3", "states", "sagemaker", "cloudformation"}
    changing = {"sagemaker:CreateTrainingJob", "cloudformation:UpdateStack", "iam:PassRole", "sagemaker:UpdateEndpoint"}
    assert not changing & found.keys()


def test_who_manages_starts_both_machines_and_stops_only_trainings_of_them(dev: Assembly) -> None:
    found = granted(dev.api, "Train")
    started = {arn for arn in found["states:StartExecution"] if TRAINING in arn}
    assert len(started) == 2
    stopped = {arn for arn in found["states:StopExecution"] if TRAINING in arn}
    (executions,) = stopped
    assert ":execution:" in executions and "StateMachine" in executions and "Rollout" not in executions
    of_pauses, of_promotions = sorted(
        found["states:DescribeExecution"] - found["states:StopExecution"], key=lambda arn: "Rollout" in arn
    )
    assert ":execution:" in of_promotions and "RolloutMachine" in of_promotions
    assert ":execution:" in of_pauses and "PausesMachine" in of_pauses
    listed = sorted(found["states:ListExecutions"])
    assert len(listed) == 3 and not [arn for arn in listed if "Pauses" in arn]
    assert found["states:StopExecution"] < found["states:DescribeExecution"]


def test_who_manages_is_told_the_stages_limits_and_prices(dev: Assembly, prod: Assembly) -> None:
    said = []
    for assembly in (dev, prod):
        environment = assembly.api.the("AWS::Lambda::Function", "Train")["Environment"]["Variables"]
        arn = "arn:aws:states:us-east-1:123456789012:stateMachine:Some"
        known = {
            name: value if isinstance(value, str) else arn if name.endswith("_ARN") else "some-bucket"
            for name, value in environment.items()
        }
        assert all(flat(environment[name]).startswith("${") for name in known if name.endswith(("_ARN", "_BUCKET")))
        said.append(ManageSettings.from_env(known))
    on_demand, spot = said
    assert (on_demand.spot, on_demand.usd_per_hour, on_demand.job_name_prefix) == (False, 0.428, "wordsight-dev-")
    assert (spot.spot, spot.max_run_s, spot.max_wait_s) == (True, 7200, 14400)
    assert (on_demand.training_machines, on_demand.training_images_per_s, spot.training_images_per_s) == (1, 8, 50)
    assert (on_demand.commercial, spot.commercial) == (False, True)
    assert (on_demand.max_parallel_trainings, on_demand.max_training_usd_per_month) == (1, 0)
    assert (spot.usd_per_hour, spot.serving_stack) == (0.7364, "WordsightServing-prod")
    assert (on_demand.endpoint_usd_per_hour, spot.endpoint_usd_per_hour) == (0.214, 2 * 0.7364)
