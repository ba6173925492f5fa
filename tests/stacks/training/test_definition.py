"""The training job's parameters, and the way of a training that the API accepted: snapshot, job, gate, promotion."""

import json
import re
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator

from contract.containers import TrainSettings
from contract.trainings import METRIC_DEFINITIONS, Training, channel
from lambdas.manage.trainings import job_request
from tests.stacks.conftest import Assembly, flat
from tests.stacks.machines import Machine, ending, failure

INPUT = {"dataset_s3_uri": "s3://data/snapshots/first/", "hyperparameters": {"epochs": "3"}}
EXECUTION_NAME = "attempt-1"
TRAINING = Training(
    id=EXECUTION_NAME,
    created="2026-11-22T12:00:00+00:00",
    version="wordsight-dev-attempt-1",
    dataset="welds",
    base_version="one",
    base_s3_uri="s3://artifacts/models/one/output/model/",
    hyperparameters={"epochs": "3"},
    max_runtime_s=3600,
    spot=True,
)


def states(assembly: Assembly) -> dict[str, Any]:
    text = flat(assembly.training.the("AWS::StepFunctions::StateMachine", "StateMachine")["DefinitionString"])
    found: dict[str, Any] = json.loads(text)["States"]
    return found


def task(assembly: Assembly) -> dict[str, Any]:
    state: dict[str, Any] = states(assembly)["TrainingJob"]
    return state


def by_hand(assembly: Assembly) -> Any:
    """The request of an execution that is started without the API."""
    asked = sent(states(assembly)["AsRequest"]["Parameters"], INPUT)
    return sent(task(assembly)["Parameters"], {"job_request": asked})


def by_the_api(assembly: Assembly, training: Training = TRAINING) -> Any:
    """The request of one that POST /trainings starts."""
    return sent(task(assembly)["Parameters"], {"job_request": job_request(training, "data", 7200)})


def sent(value: Any, given: dict[str, Any]) -> Any:
    """What Step Functions would send: `name.$` becomes `name` with the value that its path selects."""
    if isinstance(value, list):
        return [sent(each, given) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name.removesuffix(".$"): selected(each, given) if name.endswith(".$") else sent(each, given)
        for name, each in value.items()
    }


def selected(path: str, given: dict[str, Any]) -> Any:
    if formatted := re.fullmatch(r"States\.Format\('(.*)', \$\$\.Execution\.Name\)", path):
        return formatted[1].replace("{}", EXECUTION_NAME)
    found: Any = given
    for name in path.removeprefix("$.").split("."):
        found = found[name]
    return found


def outside_of_enums(shape: Shape, value: Any, name: str = "") -> list[str]:
    """Values that the service's model does not list, which botocore itself lets pass."""
    match shape.type_name:
        case "structure":
            return [
                f for key, each in value.items() for f in outside_of_enums(shape.members[key], each, f"{name}.{key}")
            ]
        case "list":
            return [fault for each in value for fault in outside_of_enums(shape.member, each, name)]
        case "string" if shape.enum and value not in shape.enum:
            return [f"{name} is {value!r}"]
        case _:
            return []


@pytest.fixture(scope="module")
def shape() -> Shape:
    """Of CreateTrainingJob's parameters."""
    service = botocore.session.get_session().get_service_model("sagemaker")
    return service.operation_model("CreateTrainingJob").input_shape


SPOTS = [TRAINING, TRAINING.model_copy(update={"spot": False, "base_s3_uri": "s3://none/"})]


@pytest.mark.parametrize("build", [by_hand, by_the_api, lambda assembly: by_the_api(assembly, SPOTS[1])])
def test_the_parameters_are_ones_that_create_training_job_takes(
    assembly: Assembly, shape: Shape, build: Callable[[Assembly], Any]
) -> None:
    parameters = build(assembly)
    assert ParamValidator().validate(parameters, shape).generate_report() == ""
    assert outside_of_enums(shape, parameters) == []


def test_the_check_above_would_notice_a_misspelt_field(dev: Assembly, shape: Shape) -> None:
    parameters = by_hand(dev)
    parameters["OutputDataConfig"]["CompressionType"] = "none"
    assert outside_of_enums(shape, parameters) == [".OutputDataConfig.CompressionType is 'none'"]
    parameters["ResourceConfig"]["VolumeSizeInGb"] = 1
    assert "VolumeSizeInGb" in ParamValidator().validate(parameters, shape).generate_report()


def test_a_job_is_named_after_its_execution_within_what_sagemaker_allows(assembly: Assembly) -> None:
    name = by_hand(assembly)["TrainingJobName"]
    assert name.endswith(f"-{EXECUTION_NAME}")
    longest = name.replace(
        EXECUTION_NAME, "8f1c2d3e-0a4b-4c5d-9e6f-708192a3b4c5"
    )  # Step Functions' own names are UUIDs
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", longest)


def test_spot_jobs_say_how_long_they_wait_and_others_must_not(dev: Assembly, prod: Assembly) -> None:
    on_demand, spot = by_hand(dev), by_hand(prod)
    assert on_demand["EnableManagedSpotTraining"] is False
    assert on_demand["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    asked, not_asked = (by_the_api(dev, training) for training in SPOTS)
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert not_asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_a_training_of_the_api_reads_its_snapshot_and_its_base(dev: Assembly) -> None:
    channels = {each["ChannelName"]: each["DataSource"]["S3DataSource"] for each in by_the_api(dev)["InputDataConfig"]}
    assert channels["train"]["S3Uri"] == f"s3://data/snapshots/{EXECUTION_NAME}/channel.manifest"
    assert channels["train"]["S3DataType"] == "ManifestFile"
    assert channels["base"]["S3Uri"] == TRAINING.base_s3_uri
    (only,) = by_the_api(dev, SPOTS[1])["InputDataConfig"]
    assert only["ChannelName"] == "train"


def test_a_jobs_curves_are_handed_up_to_where_it_may_write(assembly: Assembly) -> None:
    request = by_hand(assembly)
    checkpoints = request["CheckpointConfig"]["S3Uri"].removesuffix(f"{EXECUTION_NAME}/")
    assert request["TensorBoardOutputConfig"] == {"S3OutputPath": checkpoints}
    assert str(TrainSettings().tensorboard_dir) == "/opt/ml/output/tensorboard"  # the API's default for LocalPath


def test_a_job_keeps_checkpoints_of_its_own(assembly: Assembly) -> None:
    assert by_hand(assembly)["CheckpointConfig"]["S3Uri"].endswith(f"/checkpoints/{EXECUTION_NAME}/")


def test_the_container_is_cut_off_from_the_network(assembly: Assembly) -> None:
    assert task(assembly)["Parameters"]["EnableNetworkIsolation"] is True


def test_the_artifact_is_a_folder_that_an_endpoint_can_load(assembly: Assembly) -> None:
    output = task(assembly)["Parameters"]["OutputDataConfig"]
    assert output["CompressionType"] == "NONE"
    assert output["S3OutputPath"].endswith("/models/")


def test_disks_of_gpu_instances_name_no_key(prod: Assembly) -> None:
    """Types with NVMe disks, as all our GPU types are, refuse one."""
    assert "VolumeKmsKeyId" not in task(prod)["Parameters"]["ResourceConfig"]
    assert "KmsKeyId" not in task(prod)["Parameters"]["OutputDataConfig"]


def test_sagemaker_reads_every_metric_that_training_prints(dev: Assembly) -> None:
    metrics = task(dev)["Parameters"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert {each["Name"]: each["Regex"] for each in metrics} == METRIC_DEFINITIONS


def test_hyperparameters_and_dataset_are_the_executions(dev: Assembly) -> None:
    parameters = by_hand(dev)
    assert parameters["HyperParameters"] == INPUT["hyperparameters"]
    (channel,) = parameters["InputDataConfig"]
    assert channel["ChannelName"] == "train"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == INPUT["dataset_s3_uri"]


def test_the_program_expects_a_gpu_where_it_gets_one(dev: Assembly, prod: Assembly) -> None:
    for assembly, has_gpu in ((dev, False), (prod, True)):
        assert TrainSettings.from_env(task(assembly)["Parameters"]["Environment"]).expect_gpu is has_gpu


def test_a_job_is_tagged_as_the_stacks_are(assembly: Assembly) -> None:
    endpoint = assembly.serving.the("AWS::SageMaker::Endpoint")
    assert task(assembly)["Parameters"]["Tags"] == endpoint["Tags"]


def test_several_instances_train_together(tuned: Assembly) -> None:
    resources = task(tuned)["Parameters"]["ResourceConfig"]
    assert resources["InstanceCount"] == 4


GIVEN = {"training": TRAINING.model_dump(mode="json"), "job_request": job_request(TRAINING, "data", 7200)}
JOB = {
    "TrainingJobName": TRAINING.version,
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/one/output/model"},
}
OLD = channel("old", f"s3://data/snapshots/{EXECUTION_NAME}/old.manifest")
SNAPSHOT = {"records": 4, "channels": [*GIVEN["job_request"]["InputDataConfig"], OLD]}
PASSED = {"model": TRAINING.version, "gate": {"passed": True}, "promotion": None}


def walk(dev: Assembly, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Machine, dict[str, Any]]:
    """The machine, whose tasks answer with these, and what each of them is sent, in order."""
    sent: dict[str, Any] = {}

    def task(state: str, request: Any) -> Any:
        sent[state] = request
        answer = {"Snapshot": SNAPSHOT, "TrainingJob": JOB, "Gate": PASSED, "Promote": {}, **answers}[state]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Machine(dev.training, "StateMachine", task, monkeypatch), sent


def test_a_training_is_written_down_run_and_judged(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch)
    assert machine.run(GIVEN, EXECUTION_NAME) == PASSED
    assert list(sent) == ["Snapshot", "TrainingJob", "Gate"]
    assert sent["Snapshot"] == {
        "training": GIVEN["training"],
        "channels": GIVEN["job_request"]["InputDataConfig"],
    }
    assert sent["TrainingJob"]["TrainingJobName"] == TRAINING.version
    assert sent["TrainingJob"]["InputDataConfig"] == SNAPSHOT["channels"], "what the snapshot found is read, too"
    assert sent["TrainingJob"]["HyperParameters"] == TRAINING.hyperparameters
    assert sent["Gate"] == {"training": GIVEN["training"], "job": JOB}


def test_a_model_that_is_to_go_live_is_promoted_by_the_machine_for_that(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {**PASSED, "promotion": TRAINING.id}
    machine, sent = walk(dev, monkeypatch, Gate=verdict)
    assert machine.run(GIVEN) == verdict
    assert sent["Promote"]["Name"] == TRAINING.id
    assert sent["Promote"]["Input"] == {"promotion": TRAINING.id}
    assert sent["Promote"]["StateMachineArn"].startswith("${RolloutMachine")
    assert machine.resources["Promote"].endswith(":states:::states:startExecution")


def test_a_refused_model_is_a_result_and_no_failure(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = {**PASSED, "gate": {"passed": False, "reasons": ["it is not better"]}}
    machine, sent = walk(dev, monkeypatch, Gate=verdict)
    assert machine.run(GIVEN) == verdict and "Promote" not in sent


@pytest.mark.parametrize("state", ["Snapshot", "Gate"])
def test_what_a_function_says_is_the_cause(dev: Assembly, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    raised = json.dumps({"errorMessage": "the dataset 'welds' has 1 images", "errorType": "BadRequest"})
    machine, sent = walk(dev, monkeypatch, **{state: failure("BadRequest", raised)})
    assert ending(machine, GIVEN) == ("BadRequest", "the dataset 'welds' has 1 images")
    assert list(sent)[-1] == state
    machine, _ = walk(dev, monkeypatch, **{state: failure("Lambda.Unknown", "it died")})
    assert ending(machine, GIVEN) == ("Lambda.Unknown", "it died")


def test_a_job_that_fails_is_not_judged(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {**JOB, "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no images"}
    machine, sent = walk(dev, monkeypatch, TrainingJob=failure("States.TaskFailed", json.dumps(failed)))
    error, cause = ending(machine, GIVEN)
    assert error == "Wordsight.TrainingFailed" and cause.endswith("AlgorithmError: no images")
    assert "Gate" not in sent


def test_an_execution_by_hand_is_the_job_alone(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch)
    for prefix in ("snapshots", "annotations"):
        given = {"dataset_s3_uri": f"{_root(machine)}/{prefix}/first/"}
        assert machine.run(given) == {
            "training_job_name": TRAINING.version,
            "artifact_s3_uri": "s3://artifacts/models/one/output/model/",
        }
    assert list(sent) == ["TrainingJob"]
    assert sent["TrainingJob"]["HyperParameters"] == {}
    assert sent["TrainingJob"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}


def _root(machine: Machine) -> str:
    """The data bucket, as the machine's own sentence names it."""
    cause: str = machine.states["NoDataset"]["Cause"]
    return cause.partition("give an S3 prefix under ")[2].partition("/annotations/")[0]
