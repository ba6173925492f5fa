"""What a stage without instances needs of its account; what instances need is in test_preflight.py."""

from operate.preflight import identity
from operate.quotas import concurrency, quotas
from operate.stage import Site, Stage
from stacks.config import StageConfig
from tests.operate.accounts import GOOD, QUOTAS, REGION, Account, Answer, holds, paged


def site(config: StageConfig, **other: Answer) -> Site:
    by_operation = {name.partition(".")[2]: name for name in GOOD}
    answers = {**GOOD, **{by_operation[operation]: answer for operation, answer in other.items()}}
    found, _ = identity(Stage(config, Account(answers, REGION).connect))
    assert found
    return found


def by_function(**knobs: object) -> StageConfig:
    return StageConfig(stage="dev", serving="lambda", **knobs)  # type: ignore[arg-type]


def test_a_quota_of_instances_is_asked_for_trainings_only() -> None:
    none = {name: 0 for name in QUOTAS if name.endswith("for endpoint usage")}
    found = list(quotas(site(by_function(), ListServiceQuotas=paged({**QUOTAS, **none}))))
    assert [each.level for each in found] == ["ok"] and "for training job usage" in found[0].text
    of_instances, *_ = quotas(site(StageConfig(stage="dev"), ListServiceQuotas=paged({**QUOTAS, **none})))
    assert of_instances.level == "failure"


def test_a_question_takes_two_functions_at_once() -> None:
    few = {"AccountLimit": {"ConcurrentExecutions": 60, "UnreservedConcurrentExecutions": 60}}
    assert [each.level for each in concurrency(site(StageConfig(stage="dev"), GetAccountSettings=few))] == ["ok"]
    (warning,) = concurrency(site(by_function(), GetAccountSettings=few))
    assert warning.level == "warning" and "batch_concurrency let 104 come" in warning.text


def test_what_is_kept_aside_leaves_a_hundred_to_others() -> None:
    most = {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}}
    assert [
        each.level for each in concurrency(site(by_function(function_concurrency=900), GetAccountSettings=most))
    ] == ["ok"]
    config = by_function(function_concurrency=901)
    failure, _ = concurrency(site(config, GetAccountSettings=most))
    assert failure.level == "failure" and "function_concurrency is 901, and Lambda has 1000 to give" in failure.text
    deployed = holds(Serving=("AWS::Lambda::Function", "wordsight-dev"))
    assert len(list(concurrency(site(config, GetAccountSettings=most, ListStackResources=deployed)))) == 1
    of_instances = holds(Serving=("AWS::Lambda::Function", "WordsightServing-dev-LogRetention"))
    assert len(list(concurrency(site(config, GetAccountSettings=most, ListStackResources=of_instances)))) == 2


def test_more_memory_than_new_accounts_are_said_to_get_is_noted() -> None:
    note, _ = concurrency(site(by_function(function_memory_mb=3538)))
    assert note.level == "note" and "no more than 3008" in note.text
    assert len(list(concurrency(site(by_function())))) == 1
