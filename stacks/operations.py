"""What its operator sees of a stage: one dashboard, alarms that mail, and a budget, all from contract/operations.py."""

from collections.abc import Sequence

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from contract.operations import ABSENT, ALARMS, PANELS, Alarm, Figure, alarm_name
from contract.routes import FUNCTIONS, STAGE_NAME
from lambdas.settings import BudgetSettings
from stacks.config import StageConfig
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine
from stacks.prices import function_usd_per_image
from stacks.serving.stack import VARIANT_NAME

CALLED_FROM_OUTSIDE = {"classify", *FUNCTIONS.values(), "authorize", "teach"}
"""Functions of which only their metrics tell that they fail; state machines call the others, and say what failed."""
PERIOD = Duration.minutes(5)
PAUSES = "Pauses"
"""The state machine that pauses and resumes."""
WARN_AT_PERCENT = 80
HOURS_PER_MONTH = 730
_WIDTH, _HEIGHT = 12, 6


class OperationsStack(Stack):
    """Watches the functions and state machines of `watched`, the API and the endpoint. It changes nothing of them.

    Outputs: `AlarmTopicArn`, whose messages reach `alarm_email` once that address has confirmed; `BudgetTopicArn` where
    the stage has a budget: a message there pauses the stage, and one comes when it is spent.
    """

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, watched: Sequence[Stack]) -> None:
        super().__init__(scope, id, description="Wordsight: dashboard, alarms and budget")
        self._config = config
        for stack in watched:
            self.add_stack_dependency(stack)
        found = [each for stack in watched for each in stack.node.find_all()]
        self._functions = [
            each for each in found if isinstance(each, HandlerFunction) and each.module in CALLED_FROM_OUTSIDE
        ]
        self._has_not = ABSENT[config.serving]
        self._machines = [each for each in found if isinstance(each, Machine)]
        topic = self._topic("AlarmTopic", "cloudwatch", f"arn:{Aws.PARTITION}:cloudwatch:{Aws.REGION}:*:alarm:*")
        if config.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
        told = (alarm for alarm in ALARMS if alarm.figures[0].of != self._has_not)
        alarms = [each for alarm in told for each in self._alarms(alarm)]
        for alarm in alarms:
            alarm.add_alarm_action(actions.SnsAction(topic))
            alarm.add_ok_action(actions.SnsAction(topic))
        if config.serving == "endpoint":
            self._tell_of_serving(topic)
        self._dashboard(alarms)
        CfnOutput(self, "AlarmTopicArn", value=topic.topic_arn)
        if config.monthly_budget_usd:
            self._budget()

    def _topic(self, id: str, service: str, source_arn: str) -> sns.Topic:
        """One to which a service may publish for this account, over TLS only.

        With no key: neither CloudWatch nor Budgets can publish through AWS's own one, and one of ours would cost more
        than half of the alarms. A message names an alarm or a budget, and holds nothing that a caller has sent.
        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        """
        topic = sns.Topic(self, id, topic_name=f"{self._config.name}-{id}", enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": source_arn},
                },
            )
        )
        return topic

    def _tell_of_serving(self, topic: sns.Topic) -> None:
        """Of the alarms that the serving stack has for its own rollback, whose names are made anew with that stack."""
        events.Rule(
            self,
            "ServingAlarms",
            description=f"The alarms of {self._config.serving_stack_name}, which roll a bad update back, are told too",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": f"{self._config.serving_stack_name}-"}],
                    "state": {"value": ["ALARM"]},
                },
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    message=events.RuleTargetInput.from_text(
                        f"{events.EventField.from_path('$.detail.alarmName')} rings: "
                        f"{events.EventField.from_path('$.detail.configuration.description')}. "
                        "What to do: docs/operate.md, What rang."
                    ),
                )
            ],
        )

    def _alarms(self, alarm: Alarm) -> list[cloudwatch.Alarm]:
        if alarm.figures[0].of != "machine":
            return [
                self._alarm(
                    alarm, "", [each for figure in alarm.figures for each in self._metrics(figure, labelled=False)]
                )
            ]
        return [
            self._alarm(
                alarm,
                f"-{_machine(machine)}",
                [self._metric(figure, machine, labelled=False) for figure in alarm.figures],
            )
            for machine in self._machines
        ]

    def _alarm(self, alarm: Alarm, suffix: str, metrics: list[cloudwatch.Metric]) -> cloudwatch.Alarm:
        missing, compare, is_least = (
            cloudwatch.TreatMissingData,
            cloudwatch.ComparisonOperator,
            alarm.when == "at least",
        )
        summed: cloudwatch.IMetric = metrics[0]
        if len(metrics) > 1:
            named = {f"m{number}": metric for number, metric in enumerate(metrics)}
            expression = f"SUM([{','.join(f'FILL({name},0)' for name in named)}])"
            summed = cloudwatch.MathExpression(
                expression=expression, using_metrics=named, period=PERIOD, label=alarm.figures[0].title
            )
        remedy = alarm.remedy.format(stage=self._config.stage)
        return cloudwatch.Alarm(
            self,
            f"{alarm.id}{suffix}",
            alarm_name=alarm_name(self._config.name, f"{alarm.id}{suffix}"),
            alarm_description=f"{alarm.means} {remedy} More: docs/operate.md, What rang.",
            metric=summed,
            threshold=alarm.threshold,
            evaluation_periods=alarm.minutes // int(PERIOD.to_minutes()),
            comparison_operator=(
                compare.GREATER_THAN_OR_EQUAL_TO_THRESHOLD if is_least else compare.LESS_THAN_THRESHOLD
            ),
            treat_missing_data=missing.NOT_BREACHING if is_least else missing.BREACHING,
        )

    def _metrics(self, figure: Figure, *, labelled: bool = True) -> list[cloudwatch.Metric]:
        """Of whoever it is of."""
        of: Sequence[HandlerFunction | Machine | None] = [None]
        if figure.of == "function":
            of = [*self._functions, *([None] if self._config.serving == "lambda" else [])]
        elif figure.of == "machine":
            of = self._machines
        return [self._metric(figure, each, labelled=labelled) for each in of]

    def _metric(self, figure: Figure, of: HandlerFunction | Machine | None, *, labelled: bool) -> cloudwatch.Metric:
        dimensions: dict[str, str]
        if isinstance(of, HandlerFunction):
            dimensions, whose = {"FunctionName": of.function_name}, f"{of.module}: "
        elif isinstance(of, Machine):
            dimensions, whose = {"StateMachineArn": of.state_machine_arn}, f"{_machine(of)}: "
        elif figure.of == "api":
            dimensions, whose = {"ApiName": self._config.name, "Stage": STAGE_NAME}, ""
        elif figure.of in ("function", "model function"):
            dimensions, whose = {"FunctionName": self._config.name}, "model: "
        else:
            dimensions, whose = {"EndpointName": self._config.name, "VariantName": VARIANT_NAME}, ""
        return cloudwatch.Metric(
            namespace=figure.namespace,
            metric_name=figure.metric,
            dimensions_map=dimensions,
            statistic=figure.statistic,
            period=PERIOD,
            label=f"{whose}{figure.title}" if labelled else None,
        )

    def _dashboard(self, alarms: list[cloudwatch.Alarm]) -> None:
        config = self._config
        panels = [
            cloudwatch.GraphWidget(
                title=title,
                width=_WIDTH,
                height=_HEIGHT,
                left=[metric for figure in figures for metric in self._metrics(figure)],
                left_y_axis=cloudwatch.YAxisProps(min=0, label=figures[0].unit, show_units=False),
            )
            for title, figures in PANELS.items()
            if figures[0].of != self._has_not
        ]
        status = cloudwatch.AlarmStatusWidget(title="What rings", width=_WIDTH, height=_HEIGHT, alarms=list(alarms))
        text = cloudwatch.TextWidget(markdown=_cost(config), width=2 * _WIDTH, height=2)
        both = [status, *panels]
        rows = [both[start : start + 2] for start in range(0, len(both), 2)]
        cloudwatch.Dashboard(self, "Dashboard", dashboard_name=f"{config.name}-{Aws.REGION}", widgets=[[text], *rows])

    def _budget(self) -> None:
        """Of what carries the stage's tags, which counts only once the account's owner has activated them.

        Every cost filter of the older kind, `user:stage$dev`, adds to the others of its list; an expression can ask for
        both tags at once. That its keys are spelled as Cost Explorer's are, without `user:`, could not be tried: a
        budget that shows nothing spent the day after is told so by `make preflight`'s sentence about the tags.
        Without a name of its own: another address replaces it, and there can't be two of one name.
        https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Expression.html
        https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
        """
        config = self._config
        source_arn = f"arn:{Aws.PARTITION}:budgets::{Aws.ACCOUNT_ID}:*"
        topic = self._topic("BudgetTopic", "budgets", source_arn)
        properties = budgets.CfnBudget
        mail = [properties.SubscriberProperty(subscription_type="EMAIL", address=config.alarm_email)]
        by_mail = mail if config.alarm_email else []
        tell = properties.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)
        told = {WARN_AT_PERCENT: by_mail, 100: [*by_mail, tell]}
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=properties.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=properties.SpendProperty(amount=config.monthly_budget_usd, unit="USD"),
                metrics=["UnblendedCost"],
                filter_expression=properties.ExpressionProperty(
                    and_=[
                        properties.ExpressionProperty(tags=properties.TagValuesProperty(key=key, values=[value]))
                        for key, value in config.tags.items()
                    ]
                ),
            ),
            notifications_with_subscribers=[
                properties.NotificationWithSubscribersProperty(
                    notification=properties.NotificationProperty(
                        notification_type="ACTUAL",
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=subscribers,
                )
                for percent, subscribers in told.items()
                if subscribers
            ],
        )
        budget.node.add_dependency(topic)  # with its policy: Budgets tries it when the budget is made
        topic.add_subscription(subscriptions.LambdaSubscription(self._pauses()))
        CfnOutput(self, "BudgetTopicArn", value=topic.topic_arn)

    def _pauses(self) -> HandlerFunction:
        """What a spent budget begins; it may start one state machine."""
        (machine,) = (each for each in self._machines if _machine(each) == PAUSES)
        environment = BudgetSettings(pause_machine_arn=machine.state_machine_arn).to_env()
        function = HandlerFunction(
            self, "BudgetFunction", self._config, "budget", environment, "pauses a stage whose budget is spent"
        )
        function.permissions.allow(["states:StartExecution"], machine.state_machine_arn)
        return function


def _machine(machine: Machine) -> str:
    """What it does, by its place: that of trainings has its id from when there was no other."""
    name = machine.node.path.partition("/")[2].replace("/", "").removesuffix("Machine")
    return "Trainings" if name == "State" else name


def _cost(config: StageConfig) -> str:
    """What a stage costs by its configuration, as the dashboard says it."""
    budget = f"{config.monthly_budget_usd:g} USD a month" if config.monthly_budget_usd else "none"
    told = f"Budget: {budget}. What an alarm means and what to do: docs/operate.md."
    if config.serving == "lambda":
        usd_per_million = 1_000_000 * function_usd_per_image(config.function_memory_mb)
        return (
            f"**{config.name}**, whose model is a Lambda function of {config.function_memory_mb} MB: nothing while "
            f"nobody asks, about {usd_per_million:.1f} USD for a million images in Northern Virginia. {told}"
        )
    serving = f"{config.endpoint_instance_count} x {config.endpoint_instance_type}"
    per_hour = config.endpoint_usd_per_hour
    cost = (
        f"{per_hour:.2f} USD an hour, about {per_hour * HOURS_PER_MONTH:.0f} USD a month"
        if per_hour
        else "see https://aws.amazon.com/sagemaker/ai/pricing"
    )
    return f"**{config.name}**, while its endpoint is up ({serving}): {cost} on demand in Northern Virginia. {told}"
