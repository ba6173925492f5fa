import pytest

from operate.causes import CAUSES
from operate.doctor import diagnose, main, report
from operate.evidence import gather
from tests.operate.account import ENDPOINT_LOG, Account, Refused
from tests.operate.failures import CASES, HEALTHY, NO_QUOTA


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize("name", CASES)
def test_each_failure_has_its_own_cause_first(name: str, account: Account) -> None:
    cause, break_it, knobs = CASES[name]
    break_it(account)
    seen = gather(account.stage(**knobs))
    found = diagnose(seen)
    assert [each.cause.key for each in found][:1] == [cause], found
    assert [refused for refused in seen.unseen if "AccessDenied" not in refused] == []


def test_every_cause_has_a_failure_that_shows_it() -> None:
    assert {cause for cause, _, _ in CASES.values()} == {cause.key for cause in CAUSES}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_sound_is_called_healthy(name: str, account: Account) -> None:
    HEALTHY[name](account)
    seen = gather(account.stage())
    assert (diagnose(seen), seen.unseen) == ([], [])
    assert "It is healthy." in report(account.stage())


def told(name: str, account: Account) -> str:
    _, break_it, knobs = CASES[name]
    break_it(account)
    return report(account.stage(**knobs))


def test_a_report_says_where_it_is_what_is_wrong_where_that_was_read_and_what_to_do(account: Account) -> None:
    text = told("no_quota", account)
    assert "Stage dev in account 123456789012, region eu-west-1" in text
    assert "WordsightServing-dev         ROLLBACK_COMPLETE" in text
    assert "Probable cause: The account's quota does not allow the instances." in text
    assert "Read in WordsightServing-dev, Endpoint: AWS::SageMaker::Endpoint: The account-level service limit" in text
    assert '"ml.g4dn.xlarge for endpoint usage"' in " ".join(text.split())
    assert "cancelled" not in text


def test_a_report_names_the_other_things_that_are_wrong_after_the_first(account: Account) -> None:
    text = told("an_unhealthy_container_beside_a_training_out_of_memory", account)
    assert text.index("did not become healthy") < text.index("Also: The training ran out of memory")
    assert text.index("Also: The training") < text.index("Also: A stack is not deployed")


def test_a_report_shows_the_last_twenty_lines_of_the_containers_that_failed(account: Account) -> None:
    lines = told("an_unhealthy_container", account).splitlines()
    first = lines.index(f"  The last lines of {ENDPOINT_LOG}:") + 1
    assert lines[first : first + 20] == [f"    line {number}" for number in range(10, 30)]


def test_a_rollback_that_failed_has_its_command(account: Account) -> None:
    text = " ".join(told("an_update_that_could_not_go_back", account).split())
    assert "continue-update-rollback --stack-name WordsightServing-dev" in text
    assert "--resources-to-skip Endpoint" in text
    assert "InsufficientInstanceCapacity" in text and "in-progress endpoint" in text


def test_a_log_group_that_was_left_has_its_command(account: Account) -> None:
    text = " ".join(told("an_orphaned_log_group", account).split())
    assert "delete-log-group --log-group-name /aws/vendedlogs/states/WordsightTraining-dev/StateMachine." in text


def test_what_cannot_be_looked_at_is_said_and_the_rest_is_told(account: Account) -> None:
    account.refusals["describe_alarms"] = Refused("UnknownOperationException", "There is no DescribeAlarms here.")
    told_of_it = report(account.stage())
    assert "It is healthy." in told_of_it
    assert "alarms: UnknownOperationException: There is no DescribeAlarms here." in told_of_it


def test_a_page_of_json_is_cut(account: Account) -> None:
    CASES["a_failure_in_words_that_nobody_knows"][1](account)
    logical_id, kind, status, _ = account.events["Serving"][1]
    account.events["Serving"][1] = (logical_id, kind, status, "x " * 5000)
    assert len(report(account.stage())) < 3000


def test_a_stage_that_there_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["doctor", "nowhere"])
    with pytest.raises(SystemExit, match="nowhere"):
        main()
    monkeypatch.setattr("sys.argv", ["doctor", "dev", "-c", "auth"])
    with pytest.raises(SystemExit, match="-c takes NAME=VALUE, got 'auth'"):
        main()


def test_a_long_line_of_a_log_is_cut(account: Account) -> None:
    CASES["an_unhealthy_container"][1](account)
    name, made, _ = account.streams[ENDPOINT_LOG][0]
    account.streams[ENDPOINT_LOG] = [(name, made, ['{"message": "no config.json", "exception": "' + "x" * 5000])]
    text = report(account.stage())
    assert "no config.json" in text and len(text) < 3000


NO_STACK_FAILED = "No stack failed; the CLI's last lines above say why."


@pytest.mark.parametrize("name", ["nothing_deployed_where_the_shell_points", "a_first_deployment_in_review"])
def test_a_cli_that_failed_before_any_stack_did_has_said_why_itself(name: str, account: Account) -> None:
    account.status = {} if name.startswith("nothing") else {"Data": "REVIEW_IN_PROGRESS"}
    account.endpoint = None
    text = report(account.stage(), cli_failed=True)
    assert NO_STACK_FAILED in text and "change set" in text
    assert "make deploy" not in text and "Probable cause" not in text


def test_a_sound_stage_is_not_called_healthy_where_the_cli_failed(account: Account) -> None:
    text = report(account.stage(), cli_failed=True)
    assert NO_STACK_FAILED in text and "healthy" not in text


def test_a_training_that_failed_once_is_no_cause_of_a_failed_deployment(account: Account) -> None:
    CASES["a_training_without_a_dataset"][1](account)
    text = report(account.stage(), cli_failed=True)
    assert text.index(NO_STACK_FAILED) < text.index("Also: The last training failed")


def test_a_stack_that_failed_is_the_cause_of_a_failed_deployment(account: Account) -> None:
    CASES["no_quota"][1](account)
    text = report(account.stage(), cli_failed=True)
    assert "Probable cause: The account's quota does not allow the instances." in text
    assert NO_STACK_FAILED not in text


def test_a_refused_change_set_is_a_cause_in_its_own_words(account: Account) -> None:
    account.change_sets = {
        "Data": ("FAILED", "The submitted information didn't contain changes."),
        "Serving": ("FAILED", NO_QUOTA),
        "Api": ("CREATE_COMPLETE", ""),
    }
    text = report(account.stage(), cli_failed=True)
    assert "Probable cause: The account's quota does not allow the instances." in text
    assert "Read in WordsightServing-dev, its change set: The account-level service limit" in text
    assert NO_STACK_FAILED not in text and "didn't contain" not in text


def test_change_sets_that_may_not_be_listed_are_said(account: Account) -> None:
    account.refusals["list_change_sets"] = Refused("UnknownOperationException", "There is no ListChangeSets here.")
    text = report(account.stage(), cli_failed=True)
    assert NO_STACK_FAILED in text and "change sets: UnknownOperationException" in text


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_a_first_stack_that_was_never_complete_and_has_no_outputs_is_looked_at(account: Account, status: str) -> None:
    account.status["Data"] = status
    assert "WordsightData-dev" in report(account.stage(), cli_failed=True)


def test_a_paused_stage_is_healthy_and_told_how_it_comes_back(account: Account) -> None:
    account.paused, account.endpoint = True, None
    told = report(account.stage())
    assert "It is healthy." in told and "make resume STAGE=dev" in told
    assert any(line.split()[:3] == ["wordsight-dev", "paused", "since"] for line in told.splitlines())
