"""What is gathered; which cause it speaks for is in test_doctor.py."""

import pytest

from operate.causes import Subject
from operate.evidence import gather
from tests.operate.account import (
    AFTER,
    BATCHES,
    BEFORE,
    ENDPOINT_LOG,
    FUNCTION_LOG,
    JOBS_LOG,
    TRAININGS,
    Account,
    Refused,
)
from tests.operate.failures import NO_QUOTA, PING, fail, fail_update


@pytest.fixture
def account() -> Account:
    return Account()


def subject(account: Account, name: str) -> Subject:
    seen = gather(account.stage())
    assert seen.unseen == []
    return next(subject for subject in seen.subjects if subject.name == name)


def test_the_first_failure_of_a_stack_is_told_not_what_was_cancelled_after_it(account: Account) -> None:
    fail(account, NO_QUOTA)
    account.events["Serving"].insert(
        2, ("Model", "AWS::SageMaker::Model", "CREATE_FAILED", "Resource creation cancelled")
    )
    state, event = subject(account, "WordsightServing-dev").evidence
    assert state.text.startswith("WordsightServing-dev is in ROLLBACK_COMPLETE: The following resource(s) failed")
    assert (event.where, event.text) == ("WordsightServing-dev, Endpoint", f"AWS::SageMaker::Endpoint: {NO_QUOTA}")


def test_failures_of_an_earlier_operation_are_not_told(account: Account) -> None:
    account.earlier["Serving"] = [("Endpoint", "AWS::SageMaker::Endpoint", "UPDATE_FAILED", NO_QUOTA)]
    fail_update(account, PING)
    texts = [each.text for each in subject(account, "WordsightServing-dev").evidence if each.source == "event"]
    assert texts == [f"AWS::SageMaker::Endpoint: {PING}"]


def test_the_tail_is_that_of_the_newest_container_that_the_operation_started(account: Account) -> None:
    fail(account, PING)
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-0", BEFORE, ["before"]), ("AllTraffic/i-1", AFTER, ["after"])]
    assert subject(account, "WordsightServing-dev").tail == ("after",)


def test_the_log_is_not_read_for_a_failure_that_no_container_has_to_do_with(account: Account) -> None:
    fail(account, "no such role", "ExecutionRole", "AWS::IAM::Role")
    account.streams[ENDPOINT_LOG] = [("AllTraffic/i-1", AFTER, ["after"])]
    assert subject(account, "WordsightServing-dev").tail == ()


def test_a_change_set_that_was_never_executed_is_no_stack(account: Account) -> None:
    account.status["Serving"] = "REVIEW_IN_PROGRESS"
    account.endpoint = None
    (state,) = subject(account, "WordsightServing-dev").evidence
    assert state.text == "WordsightServing-dev is not deployed, its change set was not executed"


def test_the_log_of_a_failed_training_job_is_its_own(account: Account) -> None:
    account.jobs = [("wordsight-dev-a", "Failed", "AlgorithmError: , exit code: 1")]
    account.streams[JOBS_LOG] = [("wordsight-dev-ab/algo-1", AFTER, ["ab"]), ("wordsight-dev-a/algo-1", AFTER, ["a"])]
    assert subject(account, "WordsightTraining-dev, StateMachine2E01570F").tail == ("a",)


def test_the_newest_execution_that_is_over_counts(account: Account) -> None:
    account.executions[BATCHES] = [("c", "RUNNING", "", ""), ("b", "FAILED", "E", "why"), ("a", "SUCCEEDED", "", "")]
    account.executions[TRAININGS] = [("b", "SUCCEEDED", "", ""), ("a", "FAILED", "E", "why")]
    assert [each.text for each in subject(account, "WordsightApi-dev, BatchesMachine36C9").evidence] == [
        "b FAILED: E: why"
    ]
    assert subject(account, "WordsightTraining-dev, StateMachine2E01570F").evidence == ()


def test_an_endpoint_that_serves_what_its_stack_says_is_sound_though_an_arn_is_in_lower_case(account: Account) -> None:
    assert subject(account, "WordsightServing-dev").evidence == ()


def test_what_is_refused_is_noted_and_the_rest_is_read(account: Account) -> None:
    account.refusals["list_executions"] = Refused("AccessDeniedException", "no")
    account.alarms["WordsightServing-dev-ServerFaults-5c6d"] = "over"
    seen = gather(account.stage())
    assert seen.unseen == ["executions: AccessDeniedException: no"]
    assert [each.evidence[0].text for each in seen.subjects if each.name == "alarms"] == [
        "The model answers with faults: over"
    ]


def test_without_an_identity_nothing_else_is_asked(account: Account) -> None:
    account.refusals["get_caller_identity"] = Refused("ExpiredToken", "The security token is expired")
    seen = gather(account.stage())
    assert [each.text for each in seen.subjects[0].evidence] == ["ExpiredToken: The security token is expired"]
    assert (len(seen.subjects), seen.states) == (1, {})


@pytest.fixture
def by_function() -> Account:
    return Account(endpoint=None, by_function=True, function={"State": "Active", "LastUpdateStatus": "Successful"})


def serving(account: Account) -> tuple[str, Subject]:
    """The state of the model's function, and what speaks against it."""
    seen = gather(account.stage(serving="lambda"))
    assert seen.unseen == []
    return seen.states["wordsight-dev"], next(each for each in seen.subjects if each.name == "WordsightServing-dev")


def test_a_function_that_runs_the_model_is_looked_at_in_the_endpoints_place(by_function: Account) -> None:
    state, subject = serving(by_function)
    assert (state, subject.evidence) == ("Active", ())


def test_a_function_that_can_not_be_made_says_why_with_its_log(by_function: Account) -> None:
    by_function.function = {"State": "Failed", "StateReason": "The image can't be pulled"}
    by_function.streams[FUNCTION_LOG] = [("2026/11/28/[$LATEST]1", AFTER, ["the model can't be loaded"])]
    state, subject = serving(by_function)
    assert state == "Failed" and subject.log_group == FUNCTION_LOG
    assert [each.text for each in subject.evidence] == [
        "the function wordsight-dev: State is Failed: The image can't be pulled",
        "the model can't be loaded",
    ]
    by_function.function = {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no image"}
    assert "LastUpdateStatus is Failed: no image" in serving(by_function)[1].evidence[0].text


def test_a_function_that_is_gone_was_deleted_by_hand_or_is_paused(by_function: Account) -> None:
    by_function.function = None
    (evidence,) = serving(by_function)[1].evidence
    assert evidence.text == "its function wordsight-dev no longer exists"
    by_function.paused = True
    state, subject = serving(by_function)
    assert state.startswith("paused since") and subject.evidence == ()
