"""The calls that the deployed roles were seen to make (calls.jsonl), held against each stage's policies.

A permission that is missing, and one that nothing needs, is found without deploying anything.
"""

import pytest

from stacks.stage_files import stage_config
from tests.stacks.conftest import Assembly
from tests.stacks.policies import KNOW_NO_RESOURCES, Call, Statement, allows, grants, load_calls, statements, too_wide

BUCKET = "s3:ListBucket on arn:aws:s3:::WordsightData-<stage>-Artifacts82DD59A1-<…>"
NEVER_SEEN = {
    f"Training.GateFunctionRoleC26B8329: {BUCKET}": "S3 says that a checkpoint has no figures only to who may list",
}
"""Statements that no recorded call needs, with the reason for which they are granted."""

EMBEDDINGS = "arn:aws:s3:::WordsightData-<stage>-Data666C94C7-<…>/embeddings/*"
MODELS = "arn:aws:s3:::WordsightData-<stage>-Artifacts82DD59A1-<…>/models/*"
LOGS = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
PAUSES = "arn:aws:states:us-east-1:000000000000:execution:WordsightApi-<stage>-PausesMachine29C514A3-<…>:*"
BOTH_FORMS = "AWS was seen to refuse this action under either form of a group's ARN"
OF_HANDLERS = "the handlers of CloudFormation's registry list it; no promotion and no pause changes tags"
UNUSED = {
    **NEVER_SEEN,
    f"Training.TeachFunctionRole588EA4A1: s3:DeleteObjectVersion on {EMBEDDINGS}": "an image erased while looked at",
    f"Training.ExecutionRole605A040B: s3:AbortMultipartUpload on {MODELS}": "an upload in parts that fails",
    f"Training.ExecutionRole605A040B: logs:CreateLogGroup on {LOGS}/TrainingJobs:log-stream:": BOTH_FORMS,
    f"Training.ExecutionRole605A040B: logs:DescribeLogStreams on {LOGS}/TrainingJobs": BOTH_FORMS,
    f"Api.TrainFunctionRoleE9D0760D: states:DescribeExecution on {PAUSES}": "a pause that takes more than a minute",
    f"Serving.ExecutionRole: logs:CreateLogGroup on {LOGS}/Endpoints/wordsight-<stage>:log-stream:": BOTH_FORMS,
    f"Serving.ExecutionRole: logs:DescribeLogStreams on {LOGS}/Endpoints/wordsight-<stage>": BOTH_FORMS,
    **{
        f"Training.RolloutUpdateRoleEDCAF485: sagemaker:DeleteTags on {SAGEMAKER}:{resource}": OF_HANDLERS
        for resource in (
            "endpoint-config/*wordsight<stage>config-*",
            "endpoint/wordsight-<stage>",
            "model/*wordsight<stage>model-*",
        )
    },
}
"""Actions on single resources that no recorded call needs, with the reason."""

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:wordsight-<stage>"
OF_INSTANCES = {each for each in UNUSED if each.startswith("Serving.ExecutionRole") or "sagemaker:DeleteTags" in each}
UNUSED_BY_FUNCTION = {
    *(UNUSED.keys() - OF_INSTANCES),
    *(
        f"Training.RolloutUpdateRoleEDCAF485: lambda:{verb} on {FUNCTION}"
        for verb in ("UpdateFunctionCode", "UntagResource", "PutFunctionConcurrency", "DeleteFunctionConcurrency")
    ),
}
"""The same of a stage without instances; the handlers list what its update role has for knobs that no test turns."""

FINDS_KEYS = "Api.AuthorizeFunctionRole28732737"
"""Is there only where the API asks for a key."""

LARGEST_SHARE_NEVER_SEEN = 0.05


def needs_a_knob(call: Call) -> bool:
    """Whether it is made only with office hours, an idle detector, a budget or autoscaling, which a plain stage has
    not.
    """
    of_scaling = "application-autoscaling:" in call.action or "TargetTracking-" in call.resource
    measures = call.action in ("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData")
    of_pauses = "ScheduleRole" in call.role or "BudgetFunctionRole" in call.role
    return of_pauses or of_scaling or measures or "WeightsAndCapacities" in call.action


def is_of_instances(call: Call) -> bool:
    """Whether only a stage with an endpoint makes it."""
    about = (":endpoint/", ":endpoint-config/", ":model/", "role/WordsightServing-<stage>-ExecutionRole-")
    is_alarm = call.action == "cloudwatch:DescribeAlarms"
    return call.role == "Serving.ExecutionRole" or is_alarm or any(each in call.resource for each in about)


def is_of_the_function(call: Call) -> bool:
    """Whether only a stage without instances makes it."""
    passed = "role/WordsightServing-<stage>-FunctionRole-"
    return call.role == "Serving.FunctionRole" or call.resource == FUNCTION or passed in call.resource


def made_by(calls: list[Call], fixture: str, assembly: Assembly) -> list[Call]:
    """Those that a stage with its knobs makes."""
    absent = [FINDS_KEYS] if stage_config(assembly.stage).auth != "api_key" else []
    foreign = is_of_instances if fixture == "by_function" else is_of_the_function
    return [
        call
        for call in calls
        if call.role not in absent and not foreign(call) and (fixture == "prod" or not needs_a_knob(call))
    ]


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return sorted(load_calls())


def of(role: str, granted: list[Statement]) -> list[Statement]:
    return [each for each in granted if each.role == role]


@pytest.mark.parametrize("stage", ["dev", "prod", "by_function"])
def test_every_call_that_was_made_is_allowed(stage: str, calls: list[Call], request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(stage)
    granted = list(statements(assembly))
    made = made_by(calls, stage, assembly)
    assert [call for call in made if not allows(of(call.role, granted), call)] == []


@pytest.mark.parametrize("stage", ["dev", "prod", "by_function"])
def test_without_any_one_statement_a_call_would_be_denied(
    stage: str, calls: list[Call], request: pytest.FixtureRequest
) -> None:
    assembly: Assembly = request.getfixturevalue(stage)
    granted, made = list(statements(assembly)), made_by(calls, stage, assembly)
    never_seen = []
    for removed in granted:
        left = [each for each in of(removed.role, granted) if each is not removed]
        if all(allows(left, call) for call in made if call.role == removed.role):
            never_seen.append(str(removed))
    assert sorted(never_seen) == sorted(NEVER_SEEN)
    assert len(never_seen) <= LARGEST_SHARE_NEVER_SEEN * len(granted)


@pytest.mark.parametrize(("stage", "known"), [("dev", set(UNUSED)), ("by_function", UNUSED_BY_FUNCTION)])
def test_every_action_on_every_resource_is_needed_by_a_call(
    stage: str, known: set[str], calls: list[Call], request: pytest.FixtureRequest
) -> None:
    unused = [
        str(grant)
        for grant in grants(list(statements(request.getfixturevalue(stage))))
        if not any(call.role == grant.role and allows([grant], call) for call in calls)
    ]
    assert set(unused) ^ known == set()


@pytest.mark.parametrize("stage", ["dev", "prod", "by_function"])
def test_nothing_is_granted_beyond_what_is_the_stages_own(stage: str, request: pytest.FixtureRequest) -> None:
    assert [str(each) for each in statements(request.getfixturevalue(stage)) if too_wide(each)] == []


def test_an_asterisk_that_is_planted_anywhere_is_found(dev: Assembly) -> None:
    for each in grants(list(statements(dev))):
        (action,), (resource,) = each.actions, each.resources
        service = action.partition(":")[0]
        assert too_wide(each.holding(f"{service}:*", resource))
        assert too_wide(each.holding("*", resource))
        assert too_wide(each.holding(action, "*")) == (action not in KNOW_NO_RESOURCES)
        if resource != "*":
            assert too_wide(each.holding(action, f"arn:aws:{service}:*:*:*"))
