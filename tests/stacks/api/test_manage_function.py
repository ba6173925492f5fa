"""The function that starts trainings and promotions: what it may do, and what it is told."""

from lambdas.settings import ManageSettings
from tests.stacks.api.test_functions import DATA, granted
from tests.stacks.conftest import Assembly, flat
from tests.stacks.training.test_rollout import ACCOUNT, ARTIFACTS

TRAINING = "WordsightTraining-dev."


def test_it_may_start_and_look_and_changes_nothing_itself(dev: Assembly) -> None:
    found = granted(dev.api, "Train")
    jobs = {ACCOUNT % "sagemaker" + "training-job/wordsight-dev-*"}
    assert found["sagemaker:DescribeTrainingJob"] == found["sagemaker:StopTrainingJob"] == jobs
    assert found["cloudformation:DescribeStacks"] == {ACCOUNT % "cloudformation" + "stack/WordsightServing-dev/*"}
    assert found["s3:ListBucket"] == {DATA, ARTIFACTS}
    of_models = {f"{ARTIFACTS}/{prefix}/*" for prefix in ("registry", "promotions")}
    assert {place for place in found["s3:PutObject"] if place.startswith(ARTIFACTS)} == of_models
    assert {f"{DATA}/trainings/*", f"{DATA}/idempotency/*"} <= found["s3:PutObject"]
    assert found["s3:DeleteObject"] == {f"{DATA}/idempotency/*"}
    services = {action.partition(":")[0] for action in found}
    assert services == {"s3", "states", "sagemaker", "cloudformation"}
    changing = {"sagemaker:CreateTrainingJob", "cloudformation:UpdateStack", "iam:PassRole", "sagemaker:UpdateEndpoint"}
    assert not changing & found.keys()


def test_it_starts_both_machines_and_stops_only_trainings_of_them(dev: Assembly) -> None:
    found = granted(dev.api, "Train")
    started = {arn for arn in found["states:StartExecution"] if TRAINING in arn}
    assert len(started) == 2
    stopped = {arn for arn in found["states:StopExecution"] if TRAINING in arn}
    (executions,) = stopped
    assert ":execution:" in executions and "StateMachine" in executions and "Rollout" not in executions
    (of_promotions,) = found["states:DescribeExecution"] - found["states:StopExecution"]
    assert ":execution:" in of_promotions and "RolloutMachine" in of_promotions
    assert found["states:StopExecution"] < found["states:DescribeExecution"]


def test_it_is_told_the_stages_limits_and_prices(dev: Assembly, prod: Assembly) -> None:
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
    assert (spot.usd_per_hour, spot.serving_stack) == (0.7364, "WordsightServing-prod")
