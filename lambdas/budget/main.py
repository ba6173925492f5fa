"""Pauses the stage when its month's budget is spent: AWS Budgets tells a topic, and the topic calls this.

https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.endpoint import EndpointAsked
from contract.idempotency import now
from lambdas.aws.clients import connect_worker
from lambdas.aws.executions import Executions
from lambdas.settings import BudgetSettings

logger = Logger(service="wordsight-budget", serialize_stacktrace=False)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Begin a pause for every message of a topic's event; a message that is delivered twice begins one. Raises
    ServiceUnavailable if Step Functions does not answer, and Lambda tries again.
    """
    machine = Executions(BudgetSettings.from_env().pause_machine_arn, connect_worker)
    for record in event["Records"]:
        name = f"budget-{record['Sns']['MessageId']}"
        machine.start(name, EndpointAsked(action="pause", by="budget", at=now()).model_dump())
        logger.warning("the budget is spent", change=name)
