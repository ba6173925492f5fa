"""What all state machines have in common; and that each sends what its functions take and reads what there is."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
import pytest
from pydantic import BaseModel, TypeAdapter

from contract.batch_steps import BATCH_EVENT, BatchPlanAnswer, BatchPlanEvent, BatchShardEvent
from contract.endpoint import EndpointAsked, Paused
from contract.import_steps import ImportAnswer, ImportEvent
from contract.problems import GatewayTimeout, ServiceUnavailable
from contract.rollout_steps import (
    ROLLOUT_STEP,
    EndpointAnswer,
    EndpointEvent,
    RolloutAnswer,
    RolloutEvent,
)
from contract.steps import TeachEvent
from contract.training_steps import GateAnswer, GateEvent, SnapshotAnswer, SnapshotEvent
from contract.trainings import Training
from lambdas.manage.trainings import job_request
from stacks.machine import TRANSIENT
from tests.stacks.conftest import Assembly, Template, flat
from tests.stacks.definitions import DIED, Task, Walk, examples, kinds_of

TRAINING = examples(Training)[0]
COMPLETED = {
    "TrainingJobName": "wordsight-dev-first",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "AlgorithmSpecification": {"TrainingImage": "repository:train"},
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/first/output/model/"},
}
STOPPED = {"TrainingJobName": "first", "TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
JOBS = [
    COMPLETED,
    {**COMPLETED, "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/first/output/model"}},
    STOPPED,
    {**STOPPED, "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError"},
]
"""What DescribeTrainingJob may say of a job that has ended."""
STARTED = {"ExecutionArn": "arn:aws:states:us-east-1:123456789012:execution:Some:first", "StartDate": 1.0}


def answering(model: type[BaseModel]) -> Callable[[Any], list[Any]]:
    return lambda event: examples(model)


def batch_answers(event: Any) -> list[Any]:
    match event:
        case BatchPlanEvent():
            return examples(BatchPlanAnswer)
        case BatchShardEvent():
            return [0, 3]
    return [None]


def rollout_answers(event: Any) -> list[Any]:
    return examples(EndpointAnswer if isinstance(event, EndpointEvent) else RolloutAnswer)


RUNNING = [{"Executions": []}, {"Executions": [{"Name": "first", "Status": "RUNNING"}]}]
"""What ListExecutions answers, as an SDK integration spells it."""
TASKS = {
    "lambdas.snapshot.main.handler": Task(TypeAdapter(SnapshotEvent), answering(SnapshotAnswer)),
    "lambdas.gate.main.handler": Task(TypeAdapter(GateEvent), answering(GateAnswer)),
    "lambdas.rollout.main.handler": Task(ROLLOUT_STEP, rollout_answers),
    "lambdas.teach.main.handler": Task(TypeAdapter(TeachEvent), lambda event: [None]),
    "lambdas.importer.main.handler": Task(TypeAdapter(ImportEvent), answering(ImportAnswer)),
    "lambdas.batch.main.handler": Task(BATCH_EVENT, batch_answers),
    ":sagemaker:createTrainingJob.sync": Task(
        TypeAdapter(dict[str, Any]), lambda event: JOBS, (*map(json.dumps, JOBS), DIED)
    ),
    ":states:startExecution": Task(TypeAdapter(dict[str, Any]), lambda event: [STARTED]),
    ":aws-sdk:sfn:listExecutions": Task(TypeAdapter(dict[str, Any]), lambda event: RUNNING),
}
MACHINES = ["StateMachine", "Rollout", "Imports", "Batches", "Pauses"]


OF_MACHINES: Mapping[str, list[dict[str, Any]]] = {
    "Rollout": [{"promotion": "first"}],
    "Pauses": examples(EndpointAsked),
}
"""What executions of these are given; others the id of what they work on."""
OF_ANOTHER_STACK = {
    "RolloutFunction": "lambdas.rollout.main.handler",
    "TeachFunction": "lambdas.teach.main.handler",
}
"""Functions by the beginning of their logical ids."""


def machine(assembly: Assembly, id: str) -> tuple[Template, dict[str, Any]]:
    """The stack of the machine whose logical id begins with `id`, and the machine's properties."""
    template = assembly.training if id in ("StateMachine", "Rollout") else assembly.api
    return template, template.the("AWS::StepFunctions::StateMachine", id)


def definition(assembly: Assembly, id: str) -> dict[str, Any]:
    """A machine's definition, in which the ARN of a function is its handler."""
    template, properties = machine(assembly, id)
    text = flat(properties["DefinitionString"])
    for name, function in template.of_type("AWS::Lambda::Function").items():
        text = text.replace(f"${{{name}.Arn}}", function["Properties"]["Handler"])
    for output, module in OF_ANOTHER_STACK.items():
        text = re.sub(rf"\$\{{WordsightTraining-\w+\.PublishOutputFnGetAtt{output}\w+\}}", module, text)
    found: dict[str, Any] = json.loads(text)
    return found


def inputs(definition: Mapping[str, Any], id: str) -> list[dict[str, Any]]:
    """What executions are started with: by the functions behind the API, and of trainings also by hand."""
    if id != "StateMachine":
        return OF_MACHINES.get(id, [{"id": "first"}])
    request = job_request(Training.model_validate(TRAINING), "data", 7200)
    root = definition["States"]["NoDataset"]["Cause"].partition("give an S3 prefix under ")[2].partition(" or ")[0]
    by_hand = {"dataset_s3_uri": f"{root}first/"}
    return [{"training": TRAINING, "job_request": request}, by_hand, {**by_hand, "hyperparameters": {}}, {}]


def states(definition: Mapping[str, Any]) -> set[str]:
    """The names of all states, those within maps included."""
    within = (each["ItemProcessor"] for each in definition["States"].values() if "ItemProcessor" in each)
    return set(definition["States"]).union(*map(states, within))


def walked(definition: Mapping[str, Any], id: str, **tasks: Task) -> Walk:
    handlers = {f"lambdas.{module}.main.handler": task for module, task in tasks.items()}
    walk = Walk({**TASKS, **handlers})
    for given in inputs(definition, id):
        walk.run(definition, given)
    return walk


@pytest.mark.parametrize("id", MACHINES)
def test_every_way_sends_what_functions_take_and_reads_what_is_there(assembly: Assembly, id: str) -> None:
    found = definition(assembly, id)
    walk = walked(found, id)
    assert walk.faults == []
    assert walk.visited == states(found)


class Renamed(BaseModel):
    """RolloutEvent, after somebody has called the promotion something else."""

    step: str
    promotion_id: str


def test_a_field_that_is_renamed_in_an_event_is_found(dev: Assembly) -> None:
    walk = walked(definition(dev, "Rollout"), "Rollout", rollout=Task(TypeAdapter(Renamed), answering(RolloutAnswer)))
    assert "Update: promotion_id: Field required" in walk.faults


def test_a_field_that_is_renamed_in_an_answer_is_found(dev: Assembly) -> None:
    renamed = Task(TypeAdapter(RolloutEvent), lambda event: [{"then": "wait", "reason": ""}])
    assert (
        "WhatNext: nothing is at $.outcome.next"
        in walked(definition(dev, "Rollout"), "Rollout", rollout=renamed).faults
    )


@pytest.mark.parametrize(
    ("id", "before", "after", "fault"),
    [
        ("StateMachine", '"training.$"', '"trainings.$"', "Snapshot: training: Field required"),
        (
            "StateMachine",
            "$.verdict.promotion",
            "$.verdict.promoted",
            "IsToBePromoted: nothing is at $.verdict.promoted",
        ),
        (
            "StateMachine",
            "$.fault.raised.errorMessage",
            "$.fault.errorMessage",
            "StepFailed: nothing is at $.fault.errorM",
        ),
        (
            "StateMachine",
            '"ResultPath": "$.job"',
            '"ResultPath": "$.jobs"',
            "IsCompleted: nothing is at $.job.TrainingJob",
        ),
        (
            "Rollout",
            '"step": "check"',
            '"step": "checks"',
            "Check: RolloutEvent.step: Input should be 'update'",
        ),
        ("Rollout", "ServiceUnavailable", "Unavailable", "Update: nobody raises Unavailable"),
        ("Imports", "$.worked.state", "$.work.state", "IsRunning: nothing is at $.work.state"),
        ("Imports", '"failure.$"', '"error.$"', "GiveUp: error: Extra inputs are not permitted"),
        ("Batches", "$.plan.shards", "$.plan.parts", "Classify: nothing is at $.plan.parts"),
        ("Batches", '"shard.$": "$.shard"', '"part.$": "$.shard"', "Shard: shard.shard: Field required"),
        ("Batches", '"$.error.Cause"', '"$.cause"', "PlanFailed: nothing is at $.cause"),
    ],
)
def test_whatever_else_is_misspelt_is_found(dev: Assembly, id: str, before: str, after: str, fault: str) -> None:
    text = json.dumps(definition(dev, id))
    assert before in text
    faults = walked(json.loads(text.replace(before, after)), id).faults
    assert [each for each in faults if each.startswith(fault)], faults


def test_whatever_passes_by_itself_is_tried_again_by_its_own_name() -> None:
    passing = kinds_of(ServiceUnavailable) | kinds_of(GatewayTimeout)
    passing.remove(Paused)  # until somebody resumes the stage
    assert {each.__name__ for each in passing} <= set(TRANSIENT)


def test_an_answer_that_no_choice_knows_leaves_a_state_that_nobody_reaches(dev: Assembly) -> None:
    found = definition(dev, "Rollout")
    renamed = Task(TypeAdapter(RolloutEvent), lambda event: [{"next": next, "reason": ""} for next in ("wait", "live")])
    assert states(found) - walked(found, "Rollout", rollout=renamed).visited == {"Verify"}


def test_what_is_told_of_training_jobs_is_what_sagemaker_tells() -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    members = service.operation_model("DescribeTrainingJob").output_shape.members
    for name, value in {name: value for job in JOBS for name, value in job.items()}.items():
        assert name in members
        if isinstance(value, dict):
            assert set(value) <= set(members[name].members)


def test_a_promotion_is_started_with_what_its_machine_is_given(dev: Assembly) -> None:
    started = definition(dev, "StateMachine")["States"]["Promote"]["Parameters"]
    (given,) = inputs(definition(dev, "Rollout"), "Rollout")
    assert {name.removesuffix(".$") for name in started["Input"]} == set(given)
    assert started["StateMachineArn"].startswith("${RolloutMachine")


@pytest.mark.parametrize("id", MACHINES)
def test_every_step_is_logged_and_traced(assembly: Assembly, id: str) -> None:
    _, properties = machine(assembly, id)
    assert properties["LoggingConfiguration"]["Level"] == "ALL"
    assert properties["LoggingConfiguration"]["IncludeExecutionData"] is True
    assert properties["TracingConfiguration"] == {"Enabled": True}


def test_machines_log_where_the_accounts_log_policy_stays_short_and_nobody_elses_logs_are(
    dev: Assembly, prod: Assembly
) -> None:
    names = []
    for assembly in (dev, prod):
        for id in MACHINES:
            template, properties = machine(assembly, id)
            (destination,) = properties["LoggingConfiguration"]["Destinations"]
            group = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
            names.append(template.of_type("AWS::Logs::LogGroup")[group]["Properties"]["LogGroupName"])
    assert all(name.startswith("/aws/vendedlogs/states/") for name in names)
    assert len(set(names)) == 2 * len(MACHINES)


@pytest.mark.parametrize("id", MACHINES)
def test_a_role_may_call_the_functions_that_its_machine_calls_and_no_other(dev: Assembly, id: str) -> None:
    template, _ = machine(dev, id)
    role = f"{id}Role" if id == "StateMachine" else f"{id}MachineRole"
    handlers = {
        f"${{{name}.Arn}}": each["Properties"]["Handler"]
        for name, each in template.of_type("AWS::Lambda::Function").items()
    }
    (allowed,) = (found for actions, found, _ in template.statements(role) if "lambda:InvokeFunction" in actions)
    handlers |= {arn: module for arn in allowed for function, module in OF_ANOTHER_STACK.items() if function in arn}
    text = json.dumps(definition(dev, id))
    assert {handlers[arn] for arn in allowed} == {each for each in handlers.values() if each in text}


@pytest.mark.parametrize("id", MACHINES)
def test_a_machine_keeps_its_permissions_until_its_executions_have_ended(dev: Assembly, id: str) -> None:
    template, _ = machine(dev, id)
    (resource,) = (
        each for name, each in template.of_type("AWS::StepFunctions::StateMachine").items() if name.startswith(id)
    )
    role = f"{id}Role" if id == "StateMachine" else f"{id}MachineRole"
    (policy,) = (name for name in template.of_type("AWS::IAM::Policy") if name.startswith(role))
    assert policy in resource["DependsOn"]
