import json
from typing import Any

import pytest

from contract.operations import ALARMS, PANELS
from tests.stacks.conftest import DEV, Assembly, Synthesize, Template, flat, listed

TOLD = {**DEV, "alarm_email": "team@example.com", "monthly_budget_usd": "300"}


@pytest.fixture(scope="module")
def told(synthesize: Synthesize) -> Assembly:
    return synthesize(**TOLD)


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    """The properties of every alarm by its name."""
    found = (each["Properties"] for each in template.of_type("AWS::CloudWatch::Alarm").values())
    return {each["AlarmName"]: each for each in found}


def watched(alarm: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """Namespace, metric and dimensions of everything that an alarm adds up."""
    metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return [
        (each["Namespace"], each["MetricName"], {one["Name"]: flat(one["Value"]) for one in each["Dimensions"]})
        for each in metrics
    ]


def test_there_is_an_alarm_for_each_row_of_the_table_and_for_each_state_machine(assembly: Assembly) -> None:
    machines = [id for id, each in assembly.resources if each["Type"] == "AWS::StepFunctions::StateMachine"]
    prefix = f"wordsight-{assembly.stage}-"
    once = {f"{prefix}{alarm.id}" for alarm in ALARMS if alarm.figures[0].of != "machine"}
    names = ("Trainings", "Rollout", "Batches", "Imports", "Pauses")
    of_machines = {f"{prefix}ExecutionFailed-{name}" for name in names}
    assert alarms(assembly.operations).keys() == once | of_machines
    assert len(machines) == len(of_machines)


def test_an_alarm_says_what_it_means_and_what_to_do_and_where_there_is_more(assembly: Assembly) -> None:
    for name, alarm in alarms(assembly.operations).items():
        row = next(each for each in ALARMS if f"-{each.id}" in name)
        description = alarm["AlarmDescription"]
        assert description.startswith(row.means) and description.endswith("docs/operate.md, What rang.")
        assert "{" not in description and len(description) <= 1024
        assert row.remedy.format(stage=assembly.stage) in description


def test_alarms_watch_this_stages_own_things(dev: Assembly) -> None:
    found = alarms(dev.operations)
    api = [("AWS/ApiGateway", "5XXError", {"ApiName": "wordsight-dev", "Stage": "v1"})]
    assert watched(found["wordsight-dev-ApiFaults"]) == api
    assert dev.api.the("AWS::ApiGateway::RestApi")["Name"] == "wordsight-dev"
    ((_, metric, endpoint),) = watched(found["wordsight-dev-EndpointSilent"])
    assert (metric, endpoint) == ("CPUUtilization", {"EndpointName": "wordsight-dev", "VariantName": "AllTraffic"})
    trainings = watched(found["wordsight-dev-ExecutionFailed-Trainings"])
    assert [metric for _, metric, _ in trainings] == ["ExecutionsFailed", "ExecutionsTimedOut"]
    (arn,) = {dimensions["StateMachineArn"] for _, _, dimensions in trainings}
    assert arn.startswith("${WordsightTraining-dev.") and "StateMachine" in arn


def test_the_functions_that_callers_wait_for_are_watched_and_cloudwatch_can_add_them_up(dev: Assembly) -> None:
    found = alarms(dev.operations)
    for name, metric in (("FunctionErrors", "Errors"), ("FunctionThrottles", "Throttles")):
        functions = watched(found[f"wordsight-dev-{name}"])
        assert {each for _, each, _ in functions} == {metric}
        names = " ".join(dimensions["FunctionName"] for _, _, dimensions in functions)
        for module in ("Classify", "Annotate", "Train", "Authorize", "Teach"):
            assert f"{module}Function" in names
        assert (
            len(functions) == 5 <= 10
        )  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html


def test_silence_is_alarming_of_the_endpoint_only(dev: Assembly) -> None:
    found = alarms(dev.operations)
    silent = {name for name, each in found.items() if each["TreatMissingData"] == "breaching"}
    assert silent == {"wordsight-dev-EndpointSilent"}
    alarm = found["wordsight-dev-EndpointSilent"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["Statistic"], alarm["Period"] * alarm["EvaluationPeriods"]) == ("SampleCount", 15 * 60)


def test_every_alarm_goes_to_one_topic_when_it_begins_and_when_it_is_over(dev: Assembly) -> None:
    (topic,) = dev.operations.of_type("AWS::SNS::Topic")
    for alarm in alarms(dev.operations).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]


def test_the_alarms_that_roll_an_update_back_are_told_too_and_not_made_again(dev: Assembly) -> None:
    (topic,) = dev.operations.of_type("AWS::SNS::Topic")
    rule = dev.operations.the("AWS::Events::Rule")
    assert rule["EventPattern"]["detail"] == {
        "alarmName": [{"prefix": "WordsightServing-dev-"}],
        "state": {"value": ["ALARM"]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": topic}
    assert not any("AlarmName" in each["Properties"] for each in dev.serving.of_type("AWS::CloudWatch::Alarm").values())


def test_nobody_is_told_unless_an_address_is_given(dev: Assembly, told: Assembly) -> None:
    assert not dev.operations.of_type("AWS::SNS::Subscription")
    subscriptions = [each["Properties"] for each in told.operations.of_type("AWS::SNS::Subscription").values()]
    (mailed,) = (each for each in subscriptions if each["Protocol"] == "email")
    assert mailed["Endpoint"] == "team@example.com" and mailed["TopicArn"]["Ref"].startswith("AlarmTopic")


def test_a_topic_takes_messages_over_tls_only_and_from_its_service_for_this_account_only(told: Assembly) -> None:
    policies = told.operations.of_type("AWS::SNS::TopicPolicy").values()
    services = set()
    for policy in policies:
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        denied = [each for each in statements if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
        for each in (each for each in statements if each["Effect"] == "Allow"):
            assert listed(each["Action"]) == ["sns:Publish"]
            services.add(each["Principal"]["Service"])
            if each["Principal"]["Service"] != "events.amazonaws.com":
                assert flat(each["Condition"]["StringEquals"]["aws:SourceAccount"]) == "${AWS::AccountId}"
    assert services == {"cloudwatch.amazonaws.com", "events.amazonaws.com", "budgets.amazonaws.com"}


def test_a_budget_counts_what_carries_both_tags_and_tells_at_80_and_100_percent(told: Assembly, dev: Assembly) -> None:
    assert not dev.operations.of_type("AWS::Budgets::Budget")
    properties = told.operations.the("AWS::Budgets::Budget")
    budget = properties["Budget"]
    assert budget["BudgetLimit"] == {"Amount": 300, "Unit": "USD"} and budget["TimeUnit"] == "MONTHLY"
    tags = {each["Tags"]["Key"]: each["Tags"]["Values"] for each in budget["FilterExpression"]["And"]}
    assert tags == {"application": ["wordsight"], "stage": ["dev"]}
    notified = {
        each["Notification"]["Threshold"]: [(to["SubscriptionType"], flat(to["Address"])) for to in each["Subscribers"]]
        for each in properties["NotificationsWithSubscribers"]
    }
    topic = told.operations.outputs["BudgetTopicArn"]
    mail = ("EMAIL", "team@example.com")
    assert notified == {80: [mail], 100: [mail, ("SNS", topic)]}


def test_a_spent_budget_calls_the_function_that_may_start_the_pausing_machine_and_nothing_else(told: Assembly) -> None:
    subscriptions = [each["Properties"] for each in told.operations.of_type("AWS::SNS::Subscription").values()]
    (called,) = (each for each in subscriptions if each["Protocol"] == "lambda")
    assert called["TopicArn"]["Ref"].startswith("BudgetTopic") and "BudgetFunction" in flat(called["Endpoint"])
    granted = {action for actions, _, _ in told.operations.statements("BudgetFunctionRole") for action in actions}
    own = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    assert granted - own == {"states:StartExecution"}


def test_a_budget_without_an_address_still_tells_whoever_pauses(synthesize: Synthesize) -> None:
    operations = synthesize(**DEV, monthly_budget_usd="300").operations
    (notification,) = operations.the("AWS::Budgets::Budget")["NotificationsWithSubscribers"]
    assert notification["Notification"]["Threshold"] == 100
    assert [each["SubscriptionType"] for each in notification["Subscribers"]] == ["SNS"]


def test_the_dashboard_has_every_panel_of_the_table_and_what_the_stage_costs(dev: Assembly, told: Assembly) -> None:
    properties = dev.operations.the("AWS::CloudWatch::Dashboard")
    assert flat(properties["DashboardName"]) == "wordsight-dev-${AWS::Region}"
    widgets = json.loads(flat(properties["DashboardBody"]))["widgets"]
    titled = {each["properties"]["title"]: each["properties"] for each in widgets if each["type"] != "text"}
    there = {title: figures for title, figures in PANELS.items() if figures[0].of != "model function"}
    assert titled.keys() == {*there, "What rings"}
    for title, figures in there.items():
        shown = {name for each in titled[title]["metrics"] for name in each if isinstance(name, str)}
        assert {figure.metric for figure in figures} <= shown, title
    assert len(titled["What rings"]["alarms"]) == len(alarms(dev.operations))
    (text,) = (each["properties"]["markdown"] for each in widgets if each["type"] == "text")
    assert "0.21 USD an hour, about 156 USD a month" in text and "Budget: none" in text
    body = flat(told.operations.the("AWS::CloudWatch::Dashboard")["DashboardBody"])
    assert "Budget: 300 USD a month" in body


def test_a_stage_without_instances_shows_its_function_and_what_it_costs(by_function: Assembly) -> None:
    body = flat(by_function.operations.the("AWS::CloudWatch::Dashboard")["DashboardBody"])
    widgets = json.loads(body)["widgets"]
    titles = {each["properties"]["title"] for each in widgets if each["type"] != "text"}
    assert titles == {title for title, figures in PANELS.items() if figures[0].of != "endpoint"} | {"What rings"}
    (text,) = (each["properties"]["markdown"] for each in widgets if each["type"] == "text")
    assert "a Lambda function of 3538 MB: nothing while nobody asks" in text and "for a million images" in text
    assert "EndpointName" not in body


def test_the_function_that_runs_the_model_rings_as_the_others_do_and_nothing_of_an_endpoint(
    by_function: Assembly, dev: Assembly
) -> None:
    found = alarms(by_function.operations)
    assert found.keys() == alarms(dev.operations).keys() - {"wordsight-dev-EndpointSilent"}
    for name in ("FunctionErrors", "FunctionThrottles"):
        here, there = watched(found[f"wordsight-dev-{name}"]), watched(alarms(dev.operations)[f"wordsight-dev-{name}"])
        assert len(here) == len(there) + 1 <= 10, "of one expression CloudWatch takes ten"
        assert {"FunctionName": "wordsight-dev"} in [dimensions for _, _, dimensions in here]
    assert not by_function.operations.of_type("AWS::Events::Rule"), "it has no alarms that roll back"
